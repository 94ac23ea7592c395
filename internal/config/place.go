package config

import "fmt"

// Place is where a setting was written.
type Place struct {
	File string // the properties file, or empty
	Line int    // of the file, from 1
	Flag bool   // --override
	Env  string // the environment variable, or empty
}

// String is the place as it stands in a message; empty for what nobody wrote.
func (p Place) String() string {
	switch {
	case p.File != "":
		return fmt.Sprintf("%s:%d", p.File, p.Line)
	case p.Flag:
		return "--override"
	case p.Env != "":
		return "environment variable " + p.Env
	}
	return ""
}

// setting is a value that somebody wrote.
type setting struct {
	text  string
	place Place
}
