package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

// jsonNode is a value of a file that a tool was given. What is not of the kind that is asked for is refused in Kafka's words,
// with the value itself.
type jsonNode struct{ raw json.RawMessage }

type jsonFields map[string]json.RawMessage

func (n jsonNode) expected(kind string) error {
	var b bytes.Buffer
	if json.Compact(&b, n.raw) != nil {
		b.Reset()
		b.Write(n.raw)
	}
	return fmt.Errorf("Expected %s, received %s", kind, b.Bytes())
}

func (n jsonNode) fields() (jsonFields, error) {
	var f jsonFields
	if err := json.Unmarshal(n.raw, &f); err != nil || f == nil {
		return nil, n.expected("JSON object")
	}
	return f, nil
}

func (n jsonNode) elements() ([]jsonNode, error) {
	var raws []json.RawMessage
	if err := json.Unmarshal(n.raw, &raws); err != nil || raws == nil {
		return nil, n.expected("JSON array")
	}
	out := make([]jsonNode, len(raws))
	for i, r := range raws {
		out[i] = jsonNode{r}
	}
	return out, nil
}

// values are the elements of what is asked for as one value.
func (n jsonNode) values() ([]jsonNode, error) {
	out, err := n.elements()
	if err != nil {
		return nil, n.expected("`JSON array` value")
	}
	return out, nil
}

func (n jsonNode) text() (string, error) {
	var s *string
	if err := json.Unmarshal(n.raw, &s); err != nil || s == nil {
		return "", n.expected("`String` value")
	}
	return *s, nil
}

func (n jsonNode) int32() (int32, error) {
	v, err := strconv.ParseInt(string(n.raw), 10, 32)
	if err != nil {
		return 0, n.expected("`Integer` value")
	}
	return int32(v), nil
}

func (n jsonNode) int64() (int64, error) {
	v, err := strconv.ParseInt(string(n.raw), 10, 64)
	if err != nil {
		return 0, n.expected("`Long` value")
	}
	return v, nil
}

// optional is a field that may be left out.
func (f jsonFields) optional(name string) (jsonNode, bool) {
	raw, ok := f[name]
	return jsonNode{raw}, ok
}

func (f jsonFields) field(name string) (jsonNode, error) {
	n, ok := f.optional(name)
	if !ok {
		return n, fmt.Errorf("No such field exists: `%s`", name)
	}
	return n, nil
}

func (f jsonFields) text(name string) (string, error) {
	n, err := f.field(name)
	if err != nil {
		return "", err
	}
	return n.text()
}

func (f jsonFields) int32(name string) (int32, error) {
	n, err := f.field(name)
	if err != nil {
		return 0, err
	}
	return n.int32()
}

func (f jsonFields) int64(name string) (int64, error) {
	n, err := f.field(name)
	if err != nil {
		return 0, err
	}
	return n.int64()
}

// partition reads topic and partition, with which all these files name what they are about.
func (f jsonFields) partition() (tp topicPartition, err error) {
	if tp.topic, err = f.text("topic"); err != nil {
		return tp, err
	}
	tp.partition, err = f.int32("partition")
	return tp, err
}

// firstJSON is the value that a text begins with; what stands behind it is not read.
func firstJSON(text []byte) (jsonNode, bool) {
	var first json.RawMessage
	err := json.NewDecoder(bytes.NewReader(text)).Decode(&first)
	return jsonNode{first}, err == nil
}

// listIn reads the list that a file of version 1 has in a field; ok is whether it has one.
func listIn(text []byte, field string) (list []jsonNode, ok bool, err error) {
	first, ok := firstJSON(text)
	if !ok {
		return nil, false, errors.New(notJSON)
	}
	file, err := first.fields()
	if err != nil {
		return nil, false, err
	}
	if err := file.checkVersion(); err != nil {
		return nil, false, err
	}
	n, ok := file.optional(field)
	if !ok {
		return nil, false, nil
	}
	list, err = n.elements()
	return list, true, err
}

// checkVersion refuses a version other than 1; without one it is 1.
func (f jsonFields) checkVersion() error {
	n, ok := f.optional("version")
	if !ok {
		return nil
	}
	v, err := n.int32()
	if err == nil && v != 1 {
		err = fmt.Errorf("Not supported version field value %d", v)
	}
	return err
}

// notJSON is Kafka's complaint about a file that is none.
const notJSON = "The input string is not a valid JSON"
