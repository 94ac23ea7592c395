//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"go.yaml.in/yaml/v3"
)

const packaging = "../../packaging"

// dockerfile is what an image is made of, its instructions by name, in order.
type dockerfile map[string][]string

func readDockerfile(t *testing.T) dockerfile {
	t.Helper()
	out := dockerfile{}
	for line := range strings.Lines(readFile(t, packaging+"/Dockerfile")) {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, rest, ok := strings.Cut(line, " ")
		if !ok || name != strings.ToUpper(name) {
			t.Fatalf("%q is no instruction", line)
		}
		out[name] = append(out[name], rest)
	}
	return out
}

// words is an instruction in the form that needs no shell, which the image does not have.
func (d dockerfile) words(t *testing.T, name string) (words []string) {
	t.Helper()
	if len(d[name]) != 1 || json.Unmarshal([]byte(d[name][0]), &words) != nil {
		t.Fatalf("%s is %q", name, d[name])
	}
	return words
}

// The image is the binary of a release and a directory that its user may write to, where the data is.
func TestTheDockerfileMakesAnImageThatCanWrite(t *testing.T) {
	d := readDockerfile(t)
	if got := d["FROM"]; !slices.Equal(got, []string{"scratch"}) {
		t.Error("FROM", got)
	}
	data := d["VOLUME"][0]
	if want := "KAFKA_LOG_DIRS=" + data; d["ENV"][0] != want {
		t.Errorf("the volume is %s, but ENV %s", data, d["ENV"])
	}
	if owner := "--chown=" + d["USER"][0] + " image/ /"; !slices.Contains(d["COPY"], owner) {
		t.Errorf("nothing gives %s to its user: %q", data, d["COPY"])
	}
	dist := readFile(t, packaging+"/dist/beside.go") + readFile(t, packaging+"/dist/main.go")
	for _, made := range []string{`"image` + data + `"`, `"NOTICE.txt"`, `"THIRD-PARTY.txt"`, `"moldau-" + goos + "-" + arch`} {
		if !strings.Contains(dist, made) {
			t.Errorf("a release has no %s, which the image takes from it", made)
		}
	}
	if got := append(d.words(t, "ENTRYPOINT"), d.words(t, "CMD")...); !slices.Equal(got, []string{"/usr/bin/moldau", "server"}) {
		t.Error("it runs", got)
	}
	if d["STOPSIGNAL"][0] != "SIGTERM" {
		t.Error("it stops by", d["STOPSIGNAL"])
	}
}

// composeFile is all that our compose files say; what it does not know is refused.
type composeFile struct {
	Node        any `yaml:"x-node"`
	Environment any `yaml:"x-environment"`
	Services    map[string]struct {
		Image       string
		Restart     string
		StopGrace   string `yaml:"stop_grace_period"`
		Ports       []string
		Environment map[string]string
		Volumes     []string
	}
	Volumes map[string]any
}

func strictYAML(t *testing.T, name string, into any) {
	t.Helper()
	d := yaml.NewDecoder(bytes.NewReader([]byte(readFile(t, name))))
	d.KnownFields(true)
	if err := d.Decode(into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// What a compose file starts is tried out without containers: each service is the image's entry point as a process, with the image's and
// the service's environment, in which container ports and published ports become ports of this machine.
func TestTheComposeFilesStartClusters(t *testing.T) {
	for name, nodes := range map[string]int{"compose.yaml": 1, "compose.cluster.yaml": 3} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var file composeFile
			strictYAML(t, filepath.Join(packaging, name), &file)
			if len(file.Services) != nodes {
				t.Fatalf("%d services", len(file.Services))
			}
			c := newContainers(t, file)
			c.start(t)
			c.tool(t, "Created topic orders.", "kafka-topics", "--create", "--topic", "orders")
			c.tool(t, fmt.Sprintf("ReplicationFactor: %d", nodes), "kafka-topics", "--describe", "--topic", "orders")
			c.tool(t, "NEW-OFFSET", "kafka-consumer-groups", "--reset-offsets", "--to-earliest", "--group", "billing", "--topic", "orders", "--execute")
			c.stop(t)
			c.start(t) // on the same volumes
			for _, at := range c.published {
				c.toolAt(t, at, "orders", "kafka-topics", "--list") // each has started: one that has not would end with 130
			}
			c.stop(t)
		})
	}
}

// containers are the services of a compose file, as processes.
type containers struct {
	file      composeFile
	image     dockerfile
	bin       string
	dir       string
	ports     map[string]string // service:container port and localhost:published port, and ours
	running   map[string]*exec.Cmd
	logs      map[string]*bytes.Buffer
	published []string // where clients of the host connect
}

func newContainers(t *testing.T, file composeFile) *containers {
	t.Helper()
	dir, err := os.MkdirTemp("", "moldau-compose")
	if err != nil {
		t.Fatal(err)
	}
	c := &containers{file: file, image: readDockerfile(t), bin: toolFolder(t), dir: dir, ports: map[string]string{}, running: map[string]*exec.Cmd{}, logs: map[string]*bytes.Buffer{}}
	t.Cleanup(func() {
		for name, cmd := range c.running {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			t.Logf("%s:\n%s", name, c.logs[name])
		}
		os.RemoveAll(dir)
	})
	for service, s := range file.Services {
		if s.Image != "moldau" {
			t.Errorf("%s is of the image %q", service, s.Image)
		}
		for _, l := range strings.Split(s.Environment["KAFKA_LISTENERS"], ",") {
			_, port, _ := strings.Cut(l, "://:")
			c.ports[service+":"+port] = fmt.Sprintf("127.0.0.1:%d", freePorts(t, []int{0}))
		}
		for _, p := range s.Ports {
			host, container, _ := strings.Cut(p, ":")
			ours, ok := c.ports[service+":"+container]
			if !ok {
				t.Fatalf("%s publishes port %s, on which nothing listens: %s", service, container, s.Environment["KAFKA_LISTENERS"])
			}
			c.ports["localhost:"+host] = ours
			c.published = append(c.published, ours)
		}
	}
	return c
}

var (
	everywhere  = regexp.MustCompile(`://:(\d+)`)
	hostAndPort = regexp.MustCompile(`[\w-]+:\d+`)
)

// environ is the environment of a service's container, in which names and ports are ours.
func (c *containers) environ(t *testing.T, service string) []string {
	t.Helper()
	s := c.file.Services[service]
	volume, target, _ := strings.Cut(s.Volumes[0], ":")
	if _, ok := c.file.Volumes[volume]; !ok {
		t.Fatalf("%s has a volume %s, which is not declared", service, volume)
	}
	out := toolEnviron("KAFKA_MOLDAU_ADMIN_LISTENER=") // of which each container has one of its own
	for _, e := range c.image["ENV"] {
		out = append(out, strings.ReplaceAll(e, target, filepath.Join(c.dir, volume)))
	}
	for name, value := range s.Environment {
		value = everywhere.ReplaceAllString(value, "://"+service+":$1")
		value = hostAndPort.ReplaceAllStringFunc(value, func(at string) string {
			if ours, ok := c.ports[at]; ok {
				return ours
			}
			return at
		})
		out = append(out, name+"="+value)
	}
	return out
}

func (c *containers) start(t *testing.T) {
	t.Helper()
	words := append(c.image.words(t, "ENTRYPOINT"), c.image.words(t, "CMD")...)
	for service := range c.file.Services {
		cmd := exec.Command(filepath.Join(c.bin, filepath.Base(words[0])), words[1:]...)
		log := new(bytes.Buffer)
		cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = c.dir, c.environ(t, service), log, log
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		c.running[service], c.logs[service] = cmd, log
	}
	for _, at := range c.published {
		(&world{t: t}).awaitAddress(at)
	}
}

// stop ends all containers as the engine does, and they must end well.
func (c *containers) stop(t *testing.T) {
	t.Helper()
	for _, cmd := range c.running {
		_ = cmd.Process.Signal(syscall.SIGTERM)
	}
	for service, cmd := range c.running {
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s ends with %v:\n%s", service, err, c.logs[service])
		}
		delete(c.running, service)
	}
}

func (c *containers) tool(t *testing.T, want, name string, args ...string) {
	t.Helper()
	c.toolAt(t, strings.Join(c.published, ","), want, name, args...)
}

// toolAt runs a tool on the host, again until it says what is wanted: nodes that listen may not all be known yet.
func (c *containers) toolAt(t *testing.T, at, want, name string, args ...string) {
	t.Helper()
	var out []byte
	for range 60 {
		cmd := exec.Command(filepath.Join(c.bin, name), append(slices.Clone(args), "--bootstrap-server", at)...)
		cmd.Env = toolEnviron()
		out, _ = cmd.CombinedOutput() // what it says counts
		if bytes.Contains(out, []byte(want)) || bytes.Contains(out, []byte("already exists")) {
			return
		}
	}
	t.Fatalf("%s %v says\n%s\nand never %q", name, args, out, want)
}

// nfpmFile is all that our package description says.
type nfpmFile struct {
	Name, Arch, Platform, Version, Section, Priority, Maintainer, License, Description, Homepage string

	Contents []struct {
		Src, Dst, Type string
		Expand         bool
		FileInfo       struct{ Mode int } `yaml:"file_info"`
	}
	Scripts   map[string]string
	Overrides map[string]struct{ Depends []string }
}

// The package has what its unit starts, and its scripts make whom it runs as.
func TestThePackageFitsItsUnit(t *testing.T) {
	var p nfpmFile
	strictYAML(t, packaging+"/linux/nfpm.yaml", &p)
	has := map[string]string{}
	for _, c := range p.Contents {
		has[c.Dst] = c.Src
		if strings.HasPrefix(c.Src, "$") {
			if !c.Expand {
				t.Errorf("%s is not expanded", c.Src)
			}
			continue
		}
		if _, err := os.Stat(filepath.Join("../..", c.Src)); err != nil {
			t.Error(err)
		}
	}
	unit := readUnit(t, packaging+"/linux/moldau.service")
	for _, word := range strings.Fields(unit["Service.ExecStart"]) {
		if strings.HasPrefix(word, "/") && has[word] == "" {
			t.Errorf("the unit names %s, which the package does not have", word)
		}
	}
	install := readFile(t, packaging+"/linux/postinstall.sh")
	for _, made := range []string{"useradd --system --gid " + unit["Service.Group"], " " + unit["Service.User"] + "\n", "/var/lib/" + unit["Service.StateDirectory"]} {
		if !strings.Contains(install, made) {
			t.Errorf("postinstall.sh has no %q", made)
		}
	}
	for _, script := range p.Scripts {
		if out, err := exec.Command("sh", "-n", filepath.Join("../..", script)).CombinedOutput(); err != nil {
			t.Errorf("%s: %v %s", script, err, out)
		}
	}
	settings := "../../" + has["/etc/moldau/server.properties"]
	if !strings.Contains(readFile(t, settings), "log.dirs=/var/lib/"+unit["Service.StateDirectory"]+"\n") {
		t.Error("the settings keep the data elsewhere than the unit lets it be written")
	}
	cmd := exec.Command(filepath.Join(toolFolder(t), "moldau"), "server", "--check-config", settings)
	cmd.Env = toolEnviron()
	if out, err := cmd.CombinedOutput(); err != nil || string(out) != "The configuration is valid.\n" {
		t.Errorf("%v: %s", err, out)
	}
}

// readUnit is a unit's settings as Section.Key.
func readUnit(t *testing.T, name string) map[string]string {
	t.Helper()
	out, section := map[string]string{}, ""
	for line := range strings.Lines(readFile(t, name)) {
		line = strings.TrimSpace(line)
		switch key, value, ok := strings.Cut(line, "="); {
		case line == "" || line[0] == '#':
		case line[0] == '[':
			section = strings.Trim(line, "[]")
		case ok && section != "":
			out[section+"."+key] = value
		default:
			t.Fatalf("%s: %q", name, line)
		}
	}
	return out
}

// systemd itself, where it is, finds nothing to say about the unit, but that the program is not installed here.
func TestSystemdTakesTheUnit(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("systemd is not here")
	}
	unit := strings.Replace(readFile(t, packaging+"/linux/moldau.service"), "/usr/bin/moldau server /etc/moldau/server.properties", "/bin/sh", 1)
	name := filepath.Join(t.TempDir(), "moldau.service")
	if err := os.WriteFile(name, []byte(unit), 0o644); err != nil {
		t.Fatal(err)
	}
	out, _ := exec.Command("systemd-analyze", "verify", "--man=no", name).CombinedOutput() // it tells of other units too
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "moldau.service") {
			t.Error(strings.TrimSpace(line))
		}
	}
}
