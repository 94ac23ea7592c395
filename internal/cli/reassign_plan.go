package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"
)

// planMove is where one partition should be.
type planMove struct {
	tp       topicPartition
	replicas []int32
	logDirs  []string // one for each replica: a directory, or "any"
}

const anyLogDir = "any"

func readTextFile(path string) ([]byte, error) {
	b, err := readInput(path)
	if err != nil {
		return nil, badPlan("Unable to read file %s", path)
	}
	return b, nil
}

// readPlan reads and checks a plan that is to be carried out.
func readPlan(path string) ([]planMove, error) {
	plan, err := readAnyPlan(path)
	if err != nil {
		return nil, err
	}
	return plan, checkPlan(plan)
}

// readAnyPlan reads a plan about which there is only a question.
func readAnyPlan(path string) ([]planMove, error) {
	b, err := readTextFile(path)
	if err != nil {
		return nil, err
	}
	if err := checkPlanSyntax(b); err != nil {
		return nil, err
	}
	out, err := planMoves(b)
	if err != nil {
		return nil, badPlan("%v", err)
	}
	return out, nil
}

// planMoves reads {"partitions":[{"topic":"a","partition":0,"replicas":[1]}]}.
func planMoves(text []byte) ([]planMove, error) {
	elements, _, err := listIn(text, "partitions")
	if err != nil {
		return nil, err
	}
	var out []planMove
	for _, e := range elements {
		m, err := planMoveOf(e)
		if err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, nil
}

func planMoveOf(e jsonNode) (m planMove, err error) {
	fields, err := e.fields()
	if err != nil {
		return m, err
	}
	if m.tp, err = fields.partition(); err != nil {
		return m, err
	}
	list, err := fields.field("replicas")
	if err != nil {
		return m, err
	}
	replicas, err := list.values()
	if err != nil {
		return m, err
	}
	for _, r := range replicas {
		id, err := r.int32()
		if err != nil {
			return m, err
		}
		m.replicas = append(m.replicas, id)
	}
	if m.logDirs, err = logDirsOf(fields, len(replicas)); err != nil {
		return m, err
	}
	if len(m.logDirs) != len(m.replicas) {
		return m, fmt.Errorf("Size of replicas list [%s] is different from size of log dirs list [%s] for partition %s", joinInts(m.replicas, ", "), strings.Join(m.logDirs, ", "), m.tp)
	}
	return m, nil
}

// logDirsOf are the directories of a partition's replicas: any, where none are named.
func logDirsOf(fields jsonFields, replicas int) ([]string, error) {
	list, ok := fields.optional("log_dirs")
	if !ok {
		return slices.Repeat([]string{anyLogDir}, replicas), nil
	}
	elements, err := list.values()
	if err != nil {
		return nil, err
	}
	var out []string
	for _, e := range elements {
		dir, err := e.text()
		if err != nil {
			return nil, err
		}
		out = append(out, dir)
	}
	return out, nil
}

func checkPlan(plan []planMove) error {
	if len(plan) == 0 {
		return badPlan("Partition reassignment list cannot be empty")
	}
	seen := map[topicPartition]bool{}
	var twice []string
	for _, m := range plan {
		if len(m.replicas) == 0 {
			return badPlan("Partition replica list cannot be empty")
		}
		if seen[m.tp] && !contains(twice, m.tp.String()) {
			twice = append(twice, m.tp.String())
		}
		seen[m.tp] = true
	}
	if len(twice) > 0 {
		return badPlan("Partition reassignment contains duplicate topic partitions: %s", strings.Join(twice, ","))
	}
	var double []string
	for _, m := range plan {
		if d := duplicates(m.replicas); len(d) > 0 {
			double = append(double, fmt.Sprintf("%s contains multiple entries for %s", m.tp, joinInts(d, ",")))
		}
	}
	if len(double) > 0 {
		return badPlan("Partition replica lists may not contain duplicate entries: %s", strings.Join(double, ". "))
	}
	return nil
}

func duplicates(ids []int32) []int32 {
	count := map[int32]int{}
	var out []int32
	for _, id := range ids {
		if count[id]++; count[id] == 2 {
			out = append(out, id)
		}
	}
	return out
}

// checkPlanSyntax words the commonest mistake, a file that is no JSON, as Kafka's parser does.
func checkPlanSyntax(b []byte) error {
	if _, ok := firstJSON(b); ok {
		return nil
	}
	var any json.RawMessage
	var syntax *json.SyntaxError
	switch err := json.Unmarshal(b, &any); {
	case err == nil:
		return nil
	case len(bytes.TrimSpace(b)) == 0:
		return badPlan("The input string shouldn't be empty")
	case !utf8.Valid(b):
		return badPlan("the file is not JSON: it holds bytes that are no UTF-8")
	case errors.As(err, &syntax):
		if word := bytes.Fields(b); len(word) > 0 && syntax.Offset <= int64(len(word[0])) && !bytes.ContainsAny(word[0], "{}[]\"") {
			return badPlan("Unrecognized token '%s': was expecting (JSON String, Number, Array, Object or token 'null', 'true' or 'false')", printable(word[0]))
		}
		return badPlan("the file is not JSON: %v at byte %d", syntax, syntax.Offset)
	default:
		return badPlan("the file cannot be read: %v", err)
	}
}

// readTopics reads the topics to move.
func readTopics(path string) ([]string, error) {
	b, err := readTextFile(path)
	if err != nil {
		return nil, err
	}
	names, err := topicNamesOf(b)
	if err != nil {
		return nil, badPlan("%v", err)
	}
	var out, twice []string
	for _, t := range names {
		if contains(out, t) {
			twice = append(twice, t)
			continue
		}
		out = append(out, t)
	}
	if len(twice) > 0 {
		return nil, badPlan("List of topics to reassign contains duplicate entries: [%s]", strings.Join(twice, ", "))
	}
	return out, nil
}

// topicNamesOf reads {"topics":[{"topic":"a"}]}.
func topicNamesOf(text []byte) ([]string, error) {
	elements, _, err := listIn(text, "topics")
	if err != nil {
		return nil, err
	}
	var out []string
	for _, e := range elements {
		fields, err := e.fields()
		if err != nil {
			return nil, err
		}
		name, err := fields.text("topic")
		if err != nil {
			return nil, err
		}
		out = append(out, name)
	}
	return out, nil
}

// planJSON prints a plan as Kafka does.
func planJSON(plan []planMove) (string, error) {
	type entry struct {
		Topic     string   `json:"topic"`
		Partition int32    `json:"partition"`
		Replicas  []int32  `json:"replicas"`
		LogDirs   []string `json:"log_dirs"`
	}
	file := struct {
		Version    int     `json:"version"`
		Partitions []entry `json:"partitions"`
	}{1, []entry{}}
	for _, m := range plan {
		file.Partitions = append(file.Partitions, entry{m.tp.topic, m.tp.partition, m.replicas, m.logDirs})
	}
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(file); err != nil {
		return "", fmt.Errorf("cannot write the plan: %w", err)
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}

// broker is a place for replicas.
type broker struct {
	id   int32
	rack string
}

func parseBrokerList(s string) ([]int32, error) {
	var out []int32
	for _, part := range javaSplit(s, ",") {
		n, err := strconv.ParseInt(part, 10, 32)
		if err != nil {
			return nil, numberFormat(part)
		}
		out = append(out, int32(n))
	}
	if d := duplicates(out); len(d) > 0 {
		return nil, badPlan("Broker list contains duplicate entries: [%s]", joinInts(d, ", "))
	}
	return out, nil
}

// assign places replicas as Kafka does: the first ones go round the brokers
// from start on, the others follow at a distance that grows with each round;
// with racks, no rack gets a second replica before each has one.
func assign(brokers []broker, partitions, replicas, start, shift int) [][]int32 {
	brokers = append([]broker(nil), brokers...)
	sort.Slice(brokers, func(i, j int) bool { return brokers[i].id < brokers[j].id })
	rackOf := map[int32]string{}
	racks := map[string]bool{}
	order := make([]int32, 0, len(brokers))
	for _, b := range brokers {
		rackOf[b.id], racks[b.rack] = b.rack, true
		order = append(order, b.id)
	}
	aware := len(racks) > 1
	if aware {
		order = alternateRacks(brokers)
	}
	out := make([][]int32, partitions)
	for p := range out {
		if p > 0 && p%len(order) == 0 {
			shift++
		}
		first := (p + start) % len(order)
		list := []int32{order[first]}
		usedRacks, used := map[string]bool{rackOf[order[first]]: true}, map[int32]bool{order[first]: true}
		for k := 0; len(list) < replicas; k++ {
			id := order[replicaIndex(first, shift*boolInt(!aware)+shift*len(racks)*boolInt(aware), k, len(order))]
			rackFree := !aware || !usedRacks[rackOf[id]] || len(usedRacks) == len(racks)
			idFree := !used[id]
			if idFree && rackFree {
				list = append(list, id)
				used[id], usedRacks[rackOf[id]] = true, true
			}
			if k > 2*len(order)*max(len(racks), 1) {
				break // every broker has been looked at
			}
		}
		out[p] = list
	}
	return out
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

func replicaIndex(first, shift, k, n int) int {
	if n == 1 {
		return 0
	}
	return (first + 1 + (shift+k)%(n-1)) % n
}

// alternateRacks orders brokers so that neighbours stand in different racks.
func alternateRacks(brokers []broker) []int32 {
	byRack := map[string][]int32{}
	for _, b := range brokers {
		byRack[b.rack] = append(byRack[b.rack], b.id)
	}
	names := sortedKeys(byRack)
	var out []int32
	for i := 0; len(out) < len(brokers); i++ {
		for _, n := range names {
			if i < len(byRack[n]) {
				out = append(out, byRack[n][i])
			}
		}
	}
	return out
}

// printable shows the beginning of what may be anything.
func printable(b []byte) string {
	const most = 64 // enough to know the file by
	text := strconv.Quote(string(b[:min(len(b), most)]))
	return text[1 : len(text)-1]
}
