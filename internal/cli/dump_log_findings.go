package cli

import "sort"

// finding is a pair of numbers that do not fit together.
type finding struct{ a, b int64 }

// findings are kept by file until the end.
type findings struct {
	files  []string // in the order in which they were met
	byFile map[string][]finding
}

func (f *findings) add(file string, a, b int64) {
	if f.byFile == nil {
		f.byFile = map[string][]finding{}
	}
	if _, ok := f.byFile[file]; !ok {
		f.files = append(f.files, file)
	}
	f.byFile[file] = append(f.byFile[file], finding{a, b})
}

// put is add where a file has one finding for each a, and they are shown in their order.
func (f *findings) put(file string, a, b int64) {
	list := f.byFile[file]
	i := sort.Search(len(list), func(i int) bool { return list[i].a >= a })
	if i < len(list) && list[i].a == a {
		list[i].b = b
		return
	}
	f.add(file, a, b)
	list = f.byFile[file]
	copy(list[i+1:], list[i:])
	list[i] = finding{a, b}
}

// printFindings tells what was found, kind by kind, in the order in which Kafka does.
func (d *dumper) printFindings() {
	d.printKind(&d.mismatches, "Mismatches in :%s\n", "  Index offset: %d, log offset: %d\n")
	d.printKind(&d.timeMismatches, "Found timestamp mismatch in :%s\n", "  Index timestamp: %d, log timestamp: %d\n")
	d.printKind(&d.outOfOrder, "Found out of order timestamp in :%s\n", "  Index timestamp: %d, Previously indexed timestamp: %d\n")
	d.printKind(&d.notFound, "The following indexed offsets are not found in :%s\n", "Indexed offset: %d, found log offset: %d\n")
	d.printKind(&d.nonConsecutive, "Non-consecutive offsets in %s\n", "  %d is followed by %d\n")
}

func (d *dumper) printKind(f *findings, title, line string) {
	for _, file := range hashMapOrder(f.files) {
		d.errorf(title, file)
		for _, x := range f.byFile[file] {
			d.errorf(line, x.a, x.b)
		}
	}
}
