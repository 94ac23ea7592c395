package interop

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/moldau-stream/moldau/tests/clients"
	"github.com/moldau-stream/moldau/tests/report"
)

func rowOf(key string, one, three report.Status, err error) *Row {
	r := &Row{Key: key, Seconds: map[string]int{}, Cells: map[string]map[string]Result{}}
	for size, st := range map[string]report.Status{"1": one, "3": three} {
		l := report.Line{Key: key, Name: key + " 1.0", Cells: map[string]report.Cell{}}
		for _, c := range columns() {
			l.Cells[c] = report.Cell{Status: report.Pass}
		}
		l.Cells["gzip"] = report.Cell{Status: st, Err: err}
		r.add(size, l, time.Unix(0, 0))
	}
	return r
}

func TestARowIsGoodOnlyWhenItIsOnEverySize(t *testing.T) {
	if err := verdict(moldau, rowOf("c", report.Pass, report.Pass, nil)); err != nil {
		t.Fatal(err)
	}
	err := verdict(moldau, rowOf("c", report.Pass, report.Fail, errors.New("no answer")))
	if err == nil || !strings.Contains(err.Error(), "three nodes: no answer") {
		t.Fatalf("a failure on three nodes is told as %v", err)
	}
}

func TestARowThatCannotBeInstalledIsNotOk(t *testing.T) {
	for _, st := range []report.Status{report.Skipped, report.Fail} {
		r := rowOf("c", st, st, errors.New("cannot install node: the registry does not answer"))
		if err := verdict(moldau, r); err == nil || !strings.Contains(err.Error(), "not run: cannot install node") {
			t.Errorf("status %v is told as %v", st, err)
		}
		if res, done := r.outcome("none"); !done || res.State != notRun {
			t.Errorf("status %v: another column is %v, %t", st, res, done)
		}
	}
}

func TestAColumnThatNobodyDidNeedsAReason(t *testing.T) {
	r := rowOf("some client", report.Pass, report.Pass, nil)
	delete(r.Cells, "txn")
	if err := verdict(moldau, r); err == nil {
		t.Error("a column without a result and without a reason passes")
	}
	kcat := rowOf("kcat", report.Pass, report.Pass, nil)
	delete(kcat.Cells, "txn")
	if err := verdict(moldau, kcat); err != nil {
		t.Errorf("a column with a reason does not pass: %v", err)
	}
}

func TestARunOfSomeRowsKeepsTheOthers(t *testing.T) {
	names := clients.Names()
	m := &Matrix{Rows: []*Row{rowOf(names[0], report.Pass, report.Pass, nil), rowOf(names[3], report.Pass, report.Pass, nil), rowOf("gone", report.Pass, report.Pass, nil)}}
	if !m.take(rowOf(names[1], report.Pass, report.Pass, nil), names) {
		t.Error("a new row is not taken")
	}
	var keys []string
	for _, r := range m.Rows {
		keys = append(keys, r.Key)
	}
	if want := []string{names[0], names[1], names[3]}; strings.Join(keys, ";") != strings.Join(want, ";") {
		t.Errorf("the rows are %q instead of %q", keys, want)
	}
}

func TestARowThatIsCutShortDoesNotTakeThePlaceOfAWholeOne(t *testing.T) {
	names := clients.Names()
	whole, cut := rowOf(names[0], report.Pass, report.Pass, nil), rowOf(names[0], report.Pass, report.Pass, nil)
	delete(cut.Seconds, "3")
	m := &Matrix{Rows: []*Row{whole}}
	if m.take(cut, names) || m.row(names[0]) != whole {
		t.Error("a row of one size of cluster is taken for one of both")
	}
	m.Rows[0] = cut
	if !m.take(whole, names) || m.row(names[0]) != whole {
		t.Error("a whole row is not taken for one that was cut short")
	}
}

func TestADifferenceFromApacheKafkaIsNoted(t *testing.T) {
	n := &notes{}
	ours, theirs := rowOf("c", report.Pass, report.Pass, nil), rowOf("c", report.Fail, report.Pass, errors.New("it does not"))
	if got := cellText(ours, theirs, "gzip", n); got != "ok<sup>1</sup>" || !strings.Contains(n.list[0], "Apache Kafka: FAIL, one node: it does not") {
		t.Errorf("%q with the notes %q", got, n.list)
	}
	if got := cellText(ours, theirs, "none", n); got != "ok" || len(n.list) != 1 {
		t.Errorf("%q with the notes %q", got, n.list)
	}
}

func TestErrorsInTheDocumentShowNoPathsOfThisMachine(t *testing.T) {
	got := sentence(errors.New("cannot open /home/me/.cache/x\nat all | ever"))
	if got != "cannot open (path) at all / ever" {
		t.Errorf("%q", got)
	}
}

func TestTheNamesOfRowsAreGivenByComma(t *testing.T) {
	re, err := wanted("kcat, burrow")
	if err != nil {
		t.Fatal(err)
	}
	if !re.MatchString("Burrow") || !re.MatchString("kcat") || re.MatchString("sarama") {
		t.Error("it selects others")
	}
	if re, err = wanted("Franz-go, confluent-kafka"); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"franz-go": true, "franz-go's tests": false, "franz-go, 1.0 protocol": false, "confluent-kafka": true, "confluent-kafka of Debian": false} {
		if re.MatchString(name) != want {
			t.Errorf("a whole name that is asked for: %s is taken: %t", name, !want)
		}
	}
	if _, err := wanted("nothing of that name"); err == nil {
		t.Error("a name of no row is accepted")
	}
}

func TestARunThatIsCutShortKeepsOnlyWholeRows(t *testing.T) {
	done := report.Line{Key: "a", Cells: map[string]report.Cell{"none": {Status: report.Pass}}}
	cut := report.Line{Key: "b", Cells: map[string]report.Cell{"none": {Status: report.Pass}, "gzip": {Status: report.Fail, Err: errors.New("canceled")}}}
	if got := whole([]report.Line{done, cut, {Key: "c"}}); len(got) != 1 || got[0].Key != "a" {
		t.Errorf("%v", got)
	}
}

func TestARowThatRanOnOneSizeSaysSo(t *testing.T) {
	r := rowOf("c", report.Pass, report.Pass, nil)
	delete(r.Seconds, "3")
	if res, _ := r.outcome("none"); res.State != good || res.Why != "not run yet on three nodes" {
		t.Errorf("%+v", res)
	}
	if got := seconds(r); got != "0 + –" {
		t.Errorf("it took %q", got)
	}
}
