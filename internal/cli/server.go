package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"

	"github.com/moldau-stream/moldau/internal/client"
)

// ServerArgs says which node to run.
type ServerArgs struct {
	// ConfigFile is a Kafka properties file; "" is a node with its defaults.
	ConfigFile string
	// Overrides are key=value pairs that win over the file, in order.
	Overrides []Override
	// CheckConfig asks only what the configuration means.
	CheckConfig bool
}

// Override is one --override key=value.
type Override struct{ Key, Value string }

const serverUsage = "USAGE: %s [-daemon] server.properties [--override property=value]*"

// startPlan is a parsed command line of kafka-server-start.
type startPlan struct {
	args   ServerArgs
	daemon bool
	name   string // -name: what the process is called in the daemon's output file
}

// parseStart reads the arguments of the start script and of the class behind
// it. -loggc turned on the JVM's garbage collection log; there is none here,
// and the script's users pass it by habit.
func parseStart(args []string) (*startPlan, error) {
	p := &startPlan{name: "kafkaServer"}
	for i := 0; i < len(args); i++ {
		a := args[i]
		value := func() (string, error) {
			if _, v, ok := strings.Cut(a, "="); ok && strings.HasPrefix(a, "--") {
				return v, nil
			}
			if i+1 >= len(args) {
				return "", fmt.Errorf("%s needs a value", a)
			}
			i++
			return args[i], nil
		}
		switch name, _, _ := strings.Cut(a, "="); {
		case a == "-daemon":
			p.daemon = true
		case a == "-loggc":
		case a == "-name":
			v, err := value()
			if err != nil {
				return nil, err
			}
			p.name = v
		case name == "--override":
			v, err := value()
			if err != nil {
				return nil, err
			}
			o, err := parseOverride(v)
			if err != nil {
				return nil, err
			}
			p.args.Overrides = append(p.args.Overrides, o)
		case name == "--check-config":
			p.args.CheckConfig = true
		case strings.HasPrefix(a, "-"):
			return nil, fmt.Errorf("%s is not a recognized option", strings.TrimLeft(name, "-"))
		case p.args.ConfigFile != "":
			return nil, fmt.Errorf("Found non argument parameters: %s", a)
		default:
			p.args.ConfigFile = a
		}
	}
	return p, nil
}

func parseOverride(s string) (Override, error) {
	k, v, ok := strings.Cut(s, "=")
	if !ok || strings.TrimSpace(k) == "" {
		return Override{}, fmt.Errorf("--override takes property=value, not %q", s)
	}
	key, value, err := client.ParseProperty(k + "=" + v)
	if err != nil {
		return Override{}, fmt.Errorf("--override %s: %w", s, err)
	}
	return Override{key, value}, nil
}

// runServer is `moldau` and `moldau server`.
func runServer(r *run, args []string) int {
	for _, a := range args {
		if a == "--help" || a == "-h" {
			r.printf(serverUsage+"\n", "moldau server")
			r.println("       moldau server --check-config server.properties")
			r.println("Without a properties file: one node on localhost:9092, its data in ./moldau-data.")
			return 0
		}
		if a == "--version" {
			r.println(r.Version)
			return 0
		}
	}
	return r.startNode(args, false, "moldau server")
}

// runServerStart is kafka-server-start, which always needs a file.
func runServerStart(r *run, args []string) int {
	return r.startNode(args, true, "kafka-server-start")
}

func (r *run) startNode(args []string, needFile bool, name string) int {
	for _, a := range args {
		if needFile && (a == "--version" || a == "--help") {
			if a == "--version" {
				r.println(r.Version)
				return 0
			}
			return r.failln(fmt.Sprintf(serverUsage, name), 1)
		}
	}
	p, err := parseStart(args)
	if err != nil {
		r.errorln(err.Error())
		return r.failln(fmt.Sprintf(serverUsage, name), 1)
	}
	if needFile && p.args.ConfigFile == "" {
		return r.failln(fmt.Sprintf(serverUsage, name), 1)
	}
	if p.args.ConfigFile != "" {
		// A missing file is told here: behind -daemon nobody would see it.
		if _, err := os.Stat(p.args.ConfigFile); err != nil {
			return r.failln((&client.FileError{Path: p.args.ConfigFile, Cause: err}).Error(), 1)
		}
	}
	if r.Server == nil {
		return r.failln("this program was built without a node", 1)
	}
	if p.daemon {
		return r.startDaemon(p, args)
	}
	if err := r.out.Flush(); err != nil {
		return r.fail(1)
	}
	return r.Server(p.args)
}

// startDaemon starts this program again, without -daemon, its output in
// $LOG_DIR/NAME.out as the script has it.
func (r *run) startDaemon(p *startPlan, args []string) int {
	dir := r.Getenv("LOG_DIR")
	if dir == "" {
		dir = "logs"
		if exe, err := os.Executable(); err == nil {
			dir = filepath.Join(filepath.Dir(filepath.Dir(exe)), "logs")
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return r.failln("cannot make the folder for the node's output: "+err.Error(), 1)
	}
	var rest []string
	for _, a := range args {
		if a != "-daemon" {
			rest = append(rest, a)
		}
	}
	file := filepath.Join(dir, p.name+".out")
	pid, err := r.Detach(append([]string{"server"}, rest...), file)
	if err != nil {
		return r.failln("cannot start the node in the background: "+err.Error(), 1)
	}
	if r.StdoutIsTerminal {
		r.printf("started in the background (pid %d), output in %s\n", pid, file)
	}
	return 0
}

// Process is a running process of this machine.
type Process struct {
	PID  int
	Args []string
	// Dir is its working directory, "" when it may not be known.
	Dir string
}

// runServerStop is kafka-server-stop: it sends SIGTERM to the nodes of this
// machine, or to those of a role or id.
func runServerStop(r *run, args []string) int {
	role, id, err := parseStop(args)
	if err != nil {
		r.errorln(err.Error())
		return r.failln("USAGE: kafka-server-stop [--process-role=value] [--node-id=value]", 1)
	}
	processes, err := r.Processes()
	if err != nil {
		return r.failln("cannot list processes: "+err.Error(), 1)
	}
	var nodes []Process
	for _, p := range processes {
		if isNode(p.Args) && (role == "" && id == "" || nodeMatches(p, role, id)) {
			nodes = append(nodes, p)
		}
	}
	if len(nodes) == 0 {
		if role != "" || id != "" {
			return r.failln("No kafka server to stop for the given role or node id", 1)
		}
		r.println("No kafka server to stop")
		return r.fail(1)
	}
	signal := r.Getenv("SIGNAL")
	if signal == "" {
		signal = "TERM"
	}
	code := 0
	sort.Slice(nodes, func(i, j int) bool { return nodes[i].PID < nodes[j].PID })
	for _, p := range nodes {
		if err := r.Kill(p.PID, signal); err != nil {
			code = r.failln(fmt.Sprintf("cannot stop process %d: %v", p.PID, err), 1)
		}
	}
	return code
}

func parseStop(args []string) (role, id string, err error) {
	for i := 0; i < len(args); i++ {
		name, v, inline := strings.Cut(args[i], "=")
		if name != "--process-role" && name != "--node-id" {
			return "", "", fmt.Errorf("%s is not a recognized option", strings.TrimLeft(name, "-"))
		}
		if !inline {
			if i+1 == len(args) {
				return "", "", fmt.Errorf("%s needs a value", name)
			}
			i++
			v = args[i]
		}
		if name == "--process-role" {
			role = v
		} else {
			id = v
		}
	}
	return role, id, nil
}

// isNode recognises a node by its command line: moldau alone, `moldau server`,
// or kafka-server-start; not a shell that runs a script of that name.
func isNode(args []string) bool {
	name, rest, found := dispatch(args)
	if len(args) == 0 || !found {
		return false
	}
	base := filepath.Base(args[0])
	if !strings.HasPrefix(base, "moldau") && !strings.HasPrefix(base, "kafka-server-start") {
		return false
	}
	if contains(rest, "--check-config") || contains(rest, "-daemon") || contains(rest, "--help") {
		return false
	}
	return name == "" || name == "server" || name == "server-start"
}

// nodeMatches reads the node's properties file to learn its role and id, as the
// script does.
func nodeMatches(p Process, role, id string) bool {
	_, rest, _ := dispatch(p.Args)
	plan, err := parseStart(rest)
	if err != nil || plan.args.ConfigFile == "" {
		return false
	}
	path := plan.args.ConfigFile
	if !filepath.IsAbs(path) {
		path = filepath.Join(p.Dir, path)
	}
	props, err := client.LoadProperties(path)
	if err != nil {
		return false
	}
	for _, o := range plan.args.Overrides {
		props[o.Key] = o.Value
	}
	if id != "" {
		return props["node.id"] == id
	}
	return strings.Join(commaList(props["process.roles"]), ",") == strings.Join(commaList(role), ",")
}

// listProcesses reads /proc; only processes that this user may look at matter.
func listProcesses() ([]Process, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	self := os.Getpid()
	var out []Process
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == self {
			continue
		}
		raw, err := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		if err != nil || len(raw) == 0 {
			continue // gone, a kernel thread, or not ours to see
		}
		dir, err := os.Readlink(filepath.Join("/proc", e.Name(), "cwd"))
		if err != nil {
			dir = ""
		}
		out = append(out, Process{PID: pid, Args: strings.Split(strings.TrimSuffix(string(raw), "\x00"), "\x00"), Dir: dir})
	}
	if len(out) == 0 {
		return nil, errors.New("/proc shows no processes")
	}
	return out, nil
}
