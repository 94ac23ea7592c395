package replica

import (
	"strings"
	"testing"
)

// What a coordinator loads of a log that is cut back under its hands is not all that it asked for.
func TestReadAllOfALogThatIsCutBackMeanwhile(t *testing.T) {
	half := strings.Repeat("x", readAllBytes*2/3) // one batch a piece
	for name, change := range map[string]func(*rig) error{
		"to where the reader is": func(r *rig) error { return r.log("t").TruncateTo(1) },
		"and written again": func(r *rig) error {
			err := r.log("t").TruncateTo(1)
			r.put("t", "a", "b", "c")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.create("t", 1, 1)
			r.put("t", half)
			r.put("t", half)
			pieces := 0
			end, _, err := r.m.ReadAll(tp("t", 0), func([]byte) error {
				if pieces++; pieces > 1 {
					t.Error("there was one piece to read")
				}
				return change(r)
			})
			if err == nil || !strings.Contains(err.Error(), "cannot read t-0 to its end") {
				t.Fatalf("end %d, %v", end, err)
			}
		})
	}
}

func TestNothingLeftBehindCompaction(t *testing.T) {
	r := newRig(t)
	r.create("t", 1, 1)
	r.put("t", "a")
	log := r.log("t")
	// The reader stands at offset 1 of what was a log of 1 record when it began; more has come since.
	r.put("t", "b", "c")
	if err := nothingLeft(log, 1, 1); err != nil {
		t.Fatal(err)
	}
	if err := nothingLeft(log, 0, 1); err == nil {
		t.Fatal("offset 0 is there to be read")
	}
	if err := nothingLeft(log, 3, 3); err != nil {
		t.Fatal(err)
	}
}
