package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// Every tool that lists has --format json beside Kafka's own format: an array of
// objects, one a line. Kafka's tools do not have the option, so that it is in no
// table of options.

const formatTable, formatJSON = "table", "json"

// formatOption adds --format to a tool.
func (s *optionSet) formatOption() {
	s.arg("format", "format", "table, as Kafka prints, or json.").withDefault(formatTable).hidden = true
}

// formatSubOption is the same for a sub-command.
func formatSubOption() subOption {
	return subOption{long: "format", metavar: "FORMAT", defs: formatTable, hidden: true, choices: []string{formatTable, formatJSON}, doc: "table, as Kafka prints, or json."}
}

// listing marks a sub-command as one that lists.
func listing(options ...subOption) []subOption { return append(options, formatSubOption()) }

// readFormat notes which format was asked for. Where a tool does more than to
// list, listing are the actions that do.
func (r *run) readFormat(p *parsed, listing ...string) error {
	asJSON, err := p.wantsJSON()
	if err == nil && p.has("format") && len(listing) > 0 && !p.hasAny(listing...) {
		err = &optionError{"--format goes with --" + strings.Join(listing, " and --") + " only"}
	}
	r.json = err == nil && asJSON
	return err
}

// wantsJSON says whether --format json was asked for.
func (p *parsed) wantsJSON() (bool, error) {
	if v := p.value("format"); v != formatJSON && v != formatTable {
		return false, &optionError{"--format must be table or json, not " + v}
	}
	return p.value("format") == formatJSON, nil
}

// row writes one object: names and values in turn.
func (r *run) row(pairs ...any) {
	if r.rows == 0 {
		r.out.WriteString("[")
	} else {
		r.out.WriteString(",")
	}
	r.rows++
	r.out.WriteString("\n  {")
	for i := 0; i+1 < len(pairs); i += 2 {
		if i > 0 {
			r.out.WriteString(", ")
		}
		r.printf("%q: %s", pairs[i], jsonText(pairs[i+1]))
	}
	r.out.WriteString("}")
}

// closeRows ends the array; without a row it is an empty one, unless the tool failed.
func (r *run) closeRows() {
	switch {
	case !r.json:
	case r.rows > 0:
		r.out.WriteString("\n]\n")
	case !r.failed:
		r.out.WriteString("[]\n")
	}
}

// jsonText writes a value; a list is never null.
func jsonText(v any) string {
	switch list := v.(type) {
	case []int32:
		if list == nil {
			return "[]"
		}
	case []string:
		if list == nil {
			return "[]"
		}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return strconv.Quote(fmt.Sprint(v)) // a number that JSON does not have
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// cellValue makes null of Kafka's words for nothing, and a number of one where text is false.
func cellValue(cell string, text bool) any {
	if cell == missingColumn || cell == "None" || cell == "" {
		return nil
	}
	if n, err := strconv.ParseInt(cell, 10, 64); err == nil && !text {
		return n
	}
	return cell
}

// jsonTable writes a table's rows; the columns in text are never numbers.
func (r *run) jsonTable(header []string, rows [][]string, text []string) {
	for _, row := range rows {
		var pairs []any
		for i, cell := range row {
			pairs = append(pairs, jsonKey(header[i]), cellValue(cell, contains(text, header[i])))
		}
		r.row(pairs...)
	}
}

// jsonKey turns a column's name into a key: LOG-END-OFFSET into logEndOffset,
// #PARTITIONS into partitions, Duration(min) into durationMin.
func jsonKey(column string) string {
	words := strings.FieldsFunc(column, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9')
	})
	for i, w := range words {
		if w == strings.ToUpper(w) {
			w = strings.ToLower(w)
		}
		if i == 0 {
			words[i] = strings.ToLower(w[:1]) + w[1:]
		} else {
			words[i] = strings.ToUpper(w[:1]) + w[1:]
		}
	}
	return strings.Join(words, "")
}
