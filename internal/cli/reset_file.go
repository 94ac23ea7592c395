package cli

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/moldau-stream/moldau/internal/client"

	"github.com/twmb/franz-go/pkg/kerr"
)

const (
	jacksonMismatch = "com.fasterxml.jackson.databind.exc.MismatchedInputException: "
	jacksonFormat   = "com.fasterxml.jackson.databind.exc.InvalidFormatException: "
	jacksonRead     = "com.fasterxml.jackson.dataformat.csv.CsvReadException: "
)

// readResetFile reads what --from-file names: topic,partition,offset for one group, or group,topic,partition,offset. Which of
// them it is the first line tells; what speaks against the short form is printed, as Kafka's tool does.
func (g *groupsTool) readResetFile(ids []string) (resetPlan, error) {
	path := g.p.value("from-file")
	text, err := os.ReadFile(path)
	if err != nil {
		text := "Unable to read file " + path
		return nil, &javaError{text: "java.io.IOException: " + text, plain: text, cause: err}
	}
	lines := javaSplit(strings.TrimPrefix(string(text), byteOrderMark), "\n")
	_, short := parseResetLine(lines[0], false)
	if short != nil {
		g.errorln(withClass(short))
	}
	plan := resetPlan{}
	for _, line := range lines {
		row, err := parseResetLine(line, short != nil || len(ids) != 1)
		if err != nil {
			return nil, err
		}
		if row.offset < 0 {
			return nil, &optionError{"Invalid negative offset"}
		}
		if row.group == "" {
			row.group = ids[0]
		}
		if plan[row.group] == nil {
			plan[row.group] = map[topicPartition]int64{}
		}
		plan[row.group][row.tp] = row.offset
	}
	return plan, nil
}

type resetRow struct {
	group  string
	tp     topicPartition
	offset int64
}

// parseResetLine reads a line by its columns; those that are missing at its end are zero.
func parseResetLine(line string, withGroup bool) (resetRow, error) {
	line = strings.TrimSuffix(line, "\r")
	if line == "" {
		return resetRow{}, jacksonError(jacksonMismatch, "No content to map due to end-of-input")
	}
	row, cells := resetRow{}, csvCells(line)
	columns := 3
	if withGroup {
		columns = 4
	}
	for len(cells) < columns {
		cells = append(cells, "")
	}
	rest := cells
	if withGroup {
		row.group, rest = cells[0], cells[1:]
	}
	row.tp.topic = rest[0]
	partition, err := csvNumber(rest[1], 32)
	if err != nil {
		return row, err
	}
	row.tp.partition = int32(partition)
	if row.offset, err = csvNumber(rest[2], 64); err != nil {
		return row, err
	}
	if len(cells) > columns {
		extra := cells[columns]
		return row, jacksonError(jacksonRead, fmt.Sprintf("Too many entries: expected at most %d (value #%d (%d chars) \"%s\")", columns, columns, len([]rune(extra)), extra))
	}
	return row, nil
}

func jacksonError(class, text string) error { return &javaError{text: class + text, plain: text} }

// csvCells splits at commas that are not inside quotes.
func csvCells(line string) []string {
	var cells []string
	var cell []byte
	quoted := false
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '"' && quoted && i+1 < len(line) && line[i+1] == '"':
			cell = append(cell, '"')
			i++
		case c == '"':
			quoted = !quoted
		case c == ',' && !quoted:
			cells, cell = append(cells, string(cell)), nil
		default:
			cell = append(cell, c)
		}
	}
	return append(cells, string(cell))
}

// csvNumber reads a whole number of so many bits; nothing, and null, are zero.
func csvNumber(text string, bits int) (int64, error) {
	trimmed := strings.TrimSpace(text)
	if trimmed == "" || trimmed == "null" {
		return 0, nil
	}
	n, err := strconv.ParseInt(trimmed, 10, bits)
	if err != nil {
		kind := map[int]string{32: "int", 64: "long"}[bits]
		return 0, jacksonError(jacksonFormat, fmt.Sprintf("Cannot deserialize value of type `%s` from String \"%s\": not a valid `%s` value", kind, text, kind))
	}
	return n, nil
}

// offsetsFromFile are a group's of the plan that a file holds.
func (g *groupsTool) offsetsFromFile(id string, ids []string) (map[topicPartition]int64, error) {
	if g.filePlan == nil {
		plan, err := g.readResetFile(ids)
		if err != nil {
			return nil, err
		}
		g.filePlan = plan
	}
	want, ok := g.filePlan[id]
	if !ok {
		g.failed = true
		g.printf("\nError: No reset plan for group %s found\n", id)
		return nil, nil
	}
	if err := g.checkTopicsOf(want); err != nil {
		return nil, err
	}
	return g.clamped(want)
}

// checkTopicsOf refuses topics whose offsets nobody can tell.
func (g *groupsTool) checkTopicsOf(want map[topicPartition]int64) error {
	first := map[string]topicPartition{}
	for _, tp := range sortedPartitions(want) {
		if _, there := first[tp.topic]; !there {
			first[tp.topic] = tp
		}
	}
	md, err := g.c.Metadata(g.ctx, "listOffsets", sortedKeys(first), false)
	if err != nil {
		return wrapExecution(err)
	}
	for _, t := range md.Topics {
		text := ""
		switch t.ErrorCode {
		case client.CodeUnknownTopicOrPartition:
			text = fmt.Sprintf("Failed to fetch metadata for partition %s because metadata for topic `%s` could not be found", first[*t.Topic], *t.Topic)
		case kerr.InvalidTopicException.Code:
			text = invalidTopicText(first[*t.Topic])
		}
		if text != "" {
			g.hintNearestTopics(g.c, *t.Topic)
			return wrapExecution(&client.KafkaError{Code: t.ErrorCode, Message: text})
		}
	}
	return nil
}
