//go:build realkafka

package main

import (
	"flag"
	"math/rand/v2"
	"os"
	"regexp"
	"strings"
	"testing"
)

// clustersOfKafka is how many clusters of one node share the sections: most of their time is spent waiting.
const clustersOfKafka = 3

// goldenSeed shuffles the sections: none may depend on what another has left, or on another being there before.
var goldenSeed = flag.Uint64("golden.seed", 0, "order of the sections in TestGoldenOnKafka; 0 is that of the file")

// TestGoldenOnKafka gives the lines of testdata/lines.txt to our tools on Apache Kafka, and compares with what Kafka's own said
// to them there: TestGolden on the other broker, so that no tool is made for ours. MOLDAU_CLI_SECTION picks sections.
func TestGoldenOnKafka(t *testing.T) {
	if os.Getenv("MOLDAU_REALKAFKA") == "" {
		t.Skip("MOLDAU_REALKAFKA is not set")
	}
	rec, byNodes := readRecord(t), map[int][]section{}
	for _, s := range readSections(t) {
		if s.wanted() {
			byNodes[s.nodes()] = append(byNodes[s.nodes()], s)
		}
	}
	for nodes, sections := range byNodes {
		if *goldenSeed != 0 {
			rand.New(rand.NewPCG(*goldenSeed, 0)).Shuffle(len(sections), func(i, j int) { sections[i], sections[j] = sections[j], sections[i] })
		}
		clusters := 1
		if nodes == 1 {
			clusters = min(clustersOfKafka, len(sections))
		}
		idle := make(chan *world, clusters)
		for range clusters {
			w := kafkaWorld(t, nodes)
			w.internalTopics()
			idle <- w
		}
		for _, s := range sections {
			t.Run(strings.ReplaceAll(s.name, "/", "-"), func(t *testing.T) {
				t.Parallel()
				w := <-idle
				defer func() { idle <- w }()
				w.t = t
				w.cleanAll()
				w.writeFiles()
				s.givePatience(rec)
				w.compareRecorded(t, s, rec)
			})
		}
	}
}

// waitsInVain is in what Kafka's tools say when their time is up.
var waitsInVain = regexp.MustCompile(`(?i)time(d|-)? ?out`)

// givePatience marks the lines with short.properties to nodes that are there, and that were not recorded to end by their limits: a broker that others keep
// busy may need longer to answer them.
func (s section) givePatience(rec *kafkaSaid) {
	asked := s.askedLines()
	for i, l := range s.lines {
		said, ok := rec.get(s.name, asked[i], "kafka")
		short := strings.Contains(l.command, "short.properties") && !strings.Contains(l.command, "127.0.0.1:1 ")
		if ok && short && !waitsInVain.MatchString(said.stdout+said.stderr) {
			l.how["patient"] = true
		}
	}
}
