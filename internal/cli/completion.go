package cli

import (
	"context"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/moldau-stream/moldau/internal/client"
)

// runCompletion prints the script that a shell sources: it asks the binary for
// the words that may follow.
func runCompletion(r *run, args []string) int {
	shell := ""
	if len(args) == 1 {
		shell = args[0]
	}
	names := append([]string{"moldau"}, ToolNames()...)
	for _, n := range ToolNames() {
		names = append(names, n+".sh")
	}
	switch list := strings.Join(names, " "); shell {
	case "bash":
		r.println(strings.ReplaceAll(bashCompletion, "NAMES", list))
	case "zsh":
		r.println(strings.ReplaceAll(zshCompletion, "NAMES", list))
	case "fish":
		for _, n := range names {
			r.println("complete -k -c " + n + " -a '(MOLDAU_COMPLETE_LINE=(commandline -p | string collect) moldau complete (commandline -opc) (commandline -ct))'")
		}
	default:
		return r.failln("Usage: moldau completion bash|zsh|fish\nFor bash: source <(moldau completion bash)", 1)
	}
	return 0
}

// Each script hands over the words up to the cursor, and in MOLDAU_COMPLETE_LINE the whole line: the servers may stand behind it.

// bashCompletion splits the line by itself: bash's own words end at each : and =, so that localhost:9092 would be three. What
// stands before the last of these in the word is not bash's to replace. Old bashes do not know nosort.
const bashCompletion = `_moldau() {
  local IFS=$' \t\n' line=${COMP_LINE:0:COMP_POINT} last
  local -a parts
  read -ra parts <<< "$line"
  case $line in *[[:space:]]) parts+=("") ;; esac
  last=${parts[${#parts[@]}-1]}
  IFS=$'\n'
  COMPREPLY=($(MOLDAU_COMPLETE_LINE=$COMP_LINE moldau complete "${parts[@]}" 2>/dev/null))
  COMPREPLY=("${COMPREPLY[@]#"${last%"${last##*[:=]}"}"}")
}
complete -o default -o nosort -F _moldau NAMES 2>/dev/null || complete -o default -F _moldau NAMES`

// zshCompletion keeps the word under the cursor where it is empty: that is the one to be completed.
const zshCompletion = `#compdef NAMES
_moldau() { local -a found; found=("${(@f)$(MOLDAU_COMPLETE_LINE=$BUFFER moldau complete "${(@)words[1,CURRENT]}" 2>/dev/null)}"); [[ -n $found ]] && compadd -a found || _files; }
compdef _moldau NAMES`

// completionTimeout bounds the look-up of live names: nobody waits longer for a tab.
const completionTimeout = 1500 * time.Millisecond

// runComplete prints what may stand in place of the last word.
func runComplete(r *run, words []string) int {
	if len(words) == 0 {
		return 0
	}
	last := words[len(words)-1]
	name, rest, found := dispatch(words[:len(words)-1])
	if len(words) == 1 || !found || name == "" && len(rest) == 0 {
		r.complete(last, commandNames())
		return 0
	}
	option, prefix, written := words[len(words)-2], last, ""
	if name, value, ok := strings.Cut(last, "="); ok && strings.HasPrefix(name, "-") {
		option, prefix, written = name, value, name+"="
	}
	if names := r.liveNames(option, words); names != nil {
		for i := range names {
			names[i] = written + names[i]
		}
		r.complete(written+prefix, names)
		return 0
	}
	if name == "completion" {
		r.complete(last, []string{"bash", "fish", "zsh"})
		return 0
	}
	if strings.HasPrefix(last, "-") || len(rest) == 0 {
		r.complete(last, optionWords(name))
	} else {
		r.completeSub(name, last, rest)
	}
	return 0
}

// commandNames are what may follow moldau, but for what only programs ask for.
func commandNames() []string {
	var names []string
	for n := range commands() {
		if n != "" && n != "complete" && n != "tool-names" {
			names = append(names, n)
		}
	}
	for n := range tools() {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}

func (r *run) complete(prefix string, words []string) {
	for _, w := range words {
		if strings.HasPrefix(w, prefix) {
			r.println(w)
		}
	}
}

// completeSub completes a sub-command behind the options that stand before it.
func (r *run) completeSub(name, last string, rest []string) {
	if strings.HasPrefix(rest[len(rest)-1], "-") && !strings.Contains(rest[len(rest)-1], "=") {
		return // the value of an option
	}
	var subs []string
	for _, w := range optionWords(name) {
		if !strings.HasPrefix(w, "-") {
			subs = append(subs, w)
		}
	}
	for _, w := range rest {
		if slices.Contains(subs, w) {
			return
		}
	}
	r.complete(last, subs)
}

// takesOptions tells the commands that print their options when asked for help; the others would start what they do.
func takesOptions(command string) bool {
	switch command {
	case "server", "dev", "top", "status", "drain", "verify", "tuning-lab", "log":
		return true
	}
	return false
}

// optionWords are the options and sub-commands of a tool, as its help lists them.
func optionWords(name string) []string {
	t, ok := tools()[name]
	if own, isOwn := commands()[name]; isOwn && takesOptions(name) {
		t, ok = tool{run: own}, true
	}
	if !ok {
		return nil
	}
	var text strings.Builder
	env := Env{Stdout: &text, Stderr: &text, Stdin: strings.NewReader("")}
	fillDefaults(&env)
	sub := newRun(&env, name, context.Background())
	t.run(sub, []string{"--help"})
	sub.out.Flush()
	set := map[string]bool{}
	for _, w := range strings.FieldsFunc(text.String(), func(r rune) bool { return strings.ContainsRune(" \n\t[](){}|,", r) }) {
		if strings.HasPrefix(w, "--") && len(w) > 3 && w[2] != '-' {
			set[w] = true
		}
	}
	for _, group := range strings.Split(text.String(), "{")[1:] {
		names, _, ok := strings.Cut(group, "}")
		if ok && !strings.ContainsAny(names, " \n") {
			for _, n := range strings.Split(names, ",") {
				set[n] = true
			}
		}
	}
	return sortedKeys(set)
}

// wordBehind is the value of an option on the line, or "".
func wordBehind(words []string, option string) string {
	for i, w := range words {
		name, value, inline := strings.Cut(w, "=")
		if name == "--"+option && inline {
			return value
		}
		if name == "--"+option && i+1 < len(words) {
			return words[i+1]
		}
	}
	return ""
}

// liveNames asks the cluster of the line for topics or groups, where an option
// before the cursor takes one.
func (r *run) liveNames(option string, words []string) []string {
	what := ""
	switch strings.TrimLeft(option, "-") {
	case "topic", "include", "input-topic", "topics-include", "topic-list", "input-topics":
		what = "topics"
	case "group", "group-id":
		what = "groups"
	case "entity-name":
		if what = wordBehind(words, "entity-type"); what != "topics" && what != "groups" {
			return nil
		}
	default:
		return nil
	}
	bootstrap, config := "localhost:9092", ""
	words = append(slices.Clone(words), strings.Fields(r.Getenv("MOLDAU_COMPLETE_LINE"))...)
	for i, w := range words {
		name, value, inline := strings.Cut(w, "=")
		if !inline && i+1 < len(words) {
			value = words[i+1]
		}
		switch strings.TrimLeft(name, "-") {
		case "bootstrap-server", "broker-list":
			bootstrap = value
		case "command-config", "consumer.config", "producer.config":
			config = value
		}
	}
	ctx, cancel := context.WithTimeout(r.ctx, completionTimeout)
	defer cancel()
	r.ctx = ctx
	c, err := r.open(client.Admin, bootstrap, config)
	if err != nil {
		return []string{}
	}
	defer c.Close()
	if what == "topics" {
		names, err := r.topicNames(c, false)
		if err != nil {
			return []string{}
		}
		return names
	}
	groups, err := r.listGroups(c, nil, nil)
	if err != nil {
		return []string{}
	}
	names := []string{}
	for _, g := range groups {
		names = append(names, g.Group)
	}
	return names
}
