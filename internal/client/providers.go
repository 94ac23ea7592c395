package client

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// variable is what a config provider answers: ${provider:key} or ${provider:path:key}.
var variable = regexp.MustCompile(`\$\{([^}:]*):(?:([^}:]*):)?([^}]*)\}`)

// provider looks up a key; what it does not know stays as it was written.
type provider func(path, key string) (string, bool, error)

// resolve puts what the config providers of Kafka's own know into the values, as Kafka's clients do. Other
// providers are Java classes, which are refused in the words that Kafka has for one that is not there.
func (p Properties) resolve() (Properties, error) {
	known, err := p.providers()
	if len(known) == 0 || err != nil {
		return p, err
	}
	out := p.Clone()
	for _, k := range p.Keys() {
		v, err := substitute(p[k], known)
		if err != nil {
			return nil, err
		}
		out[k] = v
	}
	for _, k := range p.Keys() { // they have done what they are for
		if strings.HasPrefix(k, "config.providers") {
			delete(out, k)
		}
	}
	return out, nil
}

func substitute(value string, known map[string]provider) (string, error) {
	var failed error
	text := variable.ReplaceAllStringFunc(value, func(written string) string {
		m := variable.FindStringSubmatch(written)
		ask, ok := known[m[1]]
		if !ok {
			return written
		}
		v, found, err := ask(m[2], m[3])
		if err != nil {
			failed = err
		}
		if !found {
			return written
		}
		return v
	})
	return text, failed
}

func (p Properties) providerNames() []string {
	var names []string
	for _, n := range strings.Split(p["config.providers"], ",") {
		if n = strings.TrimSpace(n); n != "" {
			names = append(names, n)
		}
	}
	return names
}

func (p Properties) providers() (map[string]provider, error) {
	known := map[string]provider{}
	for _, n := range p.providerNames() {
		key := "config.providers." + n
		allowed := p[key+".param.allowed.paths"]
		switch strings.TrimPrefix(p[key+".class"], "org.apache.kafka.common.config.provider.") {
		case "FileConfigProvider":
			known[n] = within(allowed, fromFile)
		case "DirectoryConfigProvider":
			known[n] = within(allowed, fromDirectory)
		case "EnvVarConfigProvider":
			known[n] = fromEnvironment(p[key+".param.allowlist.pattern"])
		case "": // variables of a provider without a class stay as they are
		default:
			return nil, &ConfigError{"Invalid value " + p[key+".class"] + " for configuration " + key + ".class: Could not load config provider class or one of its dependencies"}
		}
	}
	return known, nil
}

// within keeps a provider to the paths of allowed.paths, if that is set.
func within(allowed string, ask provider) provider {
	if allowed == "" {
		return ask
	}
	return func(path, key string) (string, bool, error) {
		for _, dir := range strings.Split(allowed, ",") {
			rel, err := filepath.Rel(filepath.Clean(strings.TrimSpace(dir)), filepath.Clean(path))
			if err == nil && rel != ".." && !strings.HasPrefix(rel, "../") {
				return ask(path, key)
			}
		}
		return "", false, nil
	}
}

func fromFile(path, key string) (string, bool, error) {
	if path == "" {
		return "", false, nil
	}
	p, err := LoadProperties(path)
	if err != nil {
		return "", false, &ConfigError{"Could not read properties from file " + path}
	}
	v, ok := p[key]
	return v, ok, nil
}

func fromDirectory(path, key string) (string, bool, error) {
	if path == "" || key != filepath.Base(key) {
		return "", false, nil
	}
	text, err := os.ReadFile(filepath.Join(path, key))
	return string(text), err == nil, nil
}

func fromEnvironment(pattern string) provider {
	allowed, err := regexp.Compile(`^(?:` + pattern + `)$`)
	return func(_, key string) (string, bool, error) {
		if pattern != "" && (err != nil || !allowed.MatchString(key)) {
			return "", false, nil
		}
		v, ok := os.LookupEnv(key)
		return v, ok, nil
	}
}
