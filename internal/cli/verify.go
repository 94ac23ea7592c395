package cli

import (
	"context"
	"fmt"
	"regexp"
	"time"

	"github.com/moldau-stream/moldau/internal/client"
	"github.com/moldau-stream/moldau/internal/verify"
)

func verifyOptions() *optionSet {
	s := newOptions()
	s.arg("bootstrap-server", "server to connect to", "The brokers to connect to, as host:port, several with commas.").withDefault("localhost:9092")
	s.arg("command-config", "config file", "A properties file for the clients, with the security settings.")
	s.arg("only", "expression", "Examine only rules whose name matches this regular expression, such as ^txn/ or history.")
	s.arg("skip", "expression", "Leave out rules whose name matches this regular expression.")
	s.flag("list", "List the rules in sentences, and examine nothing.")
	s.flag("all-versions", "Examine each API at every version that is advertised, not only at the lowest and the highest.")
	s.arg("timeout", "seconds", "How long the examination may take; what has not been examined then is reported.").ofKind(intValue).withDefault(fmt.Sprint(int(verify.DefaultTimeout.Seconds())))
	s.arg("seconds", "seconds", "How long to write the history that is checked for lost and doubled records.").ofKind(intValue).withDefault(fmt.Sprint(int(verify.DefaultHistory.Seconds())))
	s.formatOption()
	return s
}

// maxVerifySeconds keeps a slip of the finger from writing for days.
const maxVerifySeconds = 3600

// runVerify is `moldau verify`: is what listens there Kafka, by Kafka's rules? It exits with 1 when a rule failed or was not
// examined, for scripts.
func runVerify(r *run, args []string) int {
	p, err := verifyOptions().parse(args)
	if err == nil {
		err = r.verify(p)
	}
	return r.outcome(err)
}

func (r *run) verify(p *parsed) error {
	if p.has("help") {
		return r.usage(p.set, nil, "moldau verify: speaks every API of a Kafka-compatible cluster at its lowest and its highest version, holds the answers against Kafka's rules, checks a short history, and removes what it made.")
	}
	if p.err != nil {
		return p.err
	}
	asJSON, err := p.wantsJSON()
	if err != nil {
		return err
	}
	o, err := r.verifyPlan(p)
	if err != nil {
		return err
	}
	if p.has("list") {
		return r.verifyList(o, asJSON)
	}
	ctx, stop := r.untilSignal()
	defer stop()
	rep, err := verify.Run(ctx, *o)
	if rep == nil {
		return err
	}
	write := rep.WriteText
	if asJSON {
		write = rep.WriteJSON
	}
	if err := write(r.out); err != nil && !readerGone(err) {
		return fmt.Errorf("cannot write the report: %w", err)
	}
	if err != nil || !rep.Clean {
		r.failed = true
		return &exitError{1}
	}
	return nil
}

// untilSignal is a context that a signal ends, so that what was made is still removed.
func (r *run) untilSignal() (context.Context, func()) {
	ctx, cancel := context.WithCancel(r.ctx)
	if r.Signals == nil {
		return ctx, cancel
	}
	signals, stop := r.Signals()
	done := make(chan struct{})
	go func() {
		select {
		case <-signals:
			cancel()
		case <-done:
		}
	}()
	return ctx, func() { close(done); stop(); cancel() }
}

func (r *run) verifyPlan(p *parsed) (*verify.Options, error) {
	o := &verify.Options{Properties: client.Properties{}, AllVersions: p.has("all-versions"), Hint: r.hint}
	for name, to := range map[string]**regexp.Regexp{"only": &o.Only, "skip": &o.Skip} {
		if !p.has(name) {
			continue
		}
		re, err := regexp.Compile(p.value(name))
		if err != nil {
			return nil, &optionError{fmt.Sprintf("--%s is not a regular expression: %v", name, err)}
		}
		*to = re
	}
	for name, to := range map[string]*time.Duration{"timeout": &o.Timeout, "seconds": &o.History} {
		n, ok := p.number(name)
		if !ok || n < 1 || n > maxVerifySeconds {
			return nil, &optionError{fmt.Sprintf("--%s must be from 1 to %d, not %s", name, maxVerifySeconds, p.value(name))}
		}
		*to = time.Duration(n) * time.Second
	}
	if file := p.value("command-config"); file != "" {
		props, err := client.LoadProperties(file)
		if err != nil {
			return nil, err
		}
		o.Properties.Merge(props)
	}
	o.Properties["bootstrap.servers"] = p.value("bootstrap-server")
	return o, nil
}

func (r *run) verifyList(o *verify.Options, asJSON bool) error {
	n := 0
	for _, rule := range verify.Rules() {
		if o.Only != nil && !o.Only.MatchString(rule.Name) || o.Skip != nil && o.Skip.MatchString(rule.Name) {
			continue
		}
		n++
		if asJSON {
			r.row("rule", rule.Name, "api", rule.API, "says", rule.Sentence, "source", rule.Cites)
			continue
		}
		r.printf("%s (%s)\n  %s [%s]\n", rule.Name, rule.API, rule.Sentence, rule.Cites)
	}
	if n == 0 {
		return &optionError{"no rule has such a name"}
	}
	r.json = asJSON
	return nil
}
