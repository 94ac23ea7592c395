package host

import (
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

//go:embed kafka/pom.xml
var kafkaPom []byte

//go:embed kafka/log4j2.yaml
var kafkaLog []byte

// Kafka is Apache Kafka from Maven, run by the machine's Java.
type Kafka struct {
	Version   string
	Java      string // first line of java -version
	classPath string
	logConfig string
}

// FindKafka resolves Apache Kafka of a version with mvn, once; the class path is kept in the user's cache.
func FindKafka(version string) (*Kafka, error) {
	java, err := exec.Command("java", "-version").CombinedOutput()
	if err != nil {
		return nil, errors.New("there is no java")
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, fmt.Errorf("cannot find the cache: %w", err)
	}
	dir := filepath.Join(cache, "moldau-bench", "kafka-"+version)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("cannot make the cache: %w", err)
	}
	k := &Kafka{Version: version, logConfig: filepath.Join(dir, "log4j2.yaml")}
	k.Java, _, _ = strings.Cut(string(java), "\n")
	if err := os.WriteFile(k.logConfig, kafkaLog, 0o644); err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "classpath")
	if b, err := os.ReadFile(file); err == nil && len(b) > 0 {
		k.classPath = strings.TrimSpace(string(b))
		return k, nil
	}
	if err := os.WriteFile(filepath.Join(dir, "pom.xml"), kafkaPom, 0o644); err != nil {
		return nil, err
	}
	cmd := exec.Command("mvn", "-q", "-B", "-Dkafka.version="+version, "dependency:build-classpath", "-Dmdep.outputFile="+file)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("cannot resolve Apache Kafka %s: %w: %s", version, err, out)
	}
	b, err := os.ReadFile(file)
	k.classPath = strings.TrimSpace(string(b))
	return k, err
}

// Command runs a class with a heap, pinned to a CPU. The collector and its goals are those of Kafka's own start script.
func (k *Kafka) Command(cpu int, heap, class string, args ...string) *exec.Cmd {
	all := []string{"-Xmx" + heap, "-Xms" + heap, "-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-XX:InitiatingHeapOccupancyPercent=35",
		"-XX:+ExplicitGCInvokesConcurrent", "-Djava.awt.headless=true", "-Dlog4j2.configurationFile=" + k.logConfig, "-cp", k.classPath, class}
	return Command(cpu, "java", append(all, args...)...)
}
