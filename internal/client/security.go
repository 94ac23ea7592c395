package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

func (s *Settings) readSecurity(r *reader) error {
	protocol := r.oneOfFold("security.protocol", "PLAINTEXT", "PLAINTEXT", "SASL_PLAINTEXT", "SASL_SSL", "SSL")
	useTLS := strings.HasSuffix(protocol, "SSL")
	useSASL := strings.HasPrefix(protocol, "SASL_")
	tlsConfig, err := readTLS(r, useTLS)
	if err != nil {
		return err
	}
	if useTLS {
		s.TLS = tlsConfig
	}
	mechanism := r.str("sasl.mechanism", "GSSAPI")
	jaas := r.str("sasl.jaas.config", "")
	oa := readOAuth(r)
	if !useSASL {
		return nil
	}
	s.SASL, err = newMechanism(mechanism, jaas, oa)
	return err
}

func newMechanism(mechanism, jaas string, oa oauthSettings) (sasl.Mechanism, error) {
	login, err := ParseJAAS(jaas)
	if err != nil {
		return nil, err
	}
	if login == nil && mechanism != "OAUTHBEARER" {
		return nil, &ConfigError{"Could not find a 'KafkaClient' entry in the JAAS configuration. System property 'java.security.auth.login.config' is not set"}
	}
	switch mechanism {
	case "":
		return nil, &ConfigError{"Invalid value null for configuration sasl.mechanism: When the security.protocol configuration enables SASL, mechanism must be non-null and non-empty string."}
	case "PLAIN":
		return plain.Auth{Zid: "", User: login.Options["username"], Pass: login.Options["password"]}.AsMechanism(), nil
	case "SCRAM-SHA-256", "SCRAM-SHA-512":
		a := scram.Auth{User: login.Options["username"], Pass: login.Options["password"], IsToken: strings.EqualFold(login.Options["tokenauth"], "true")}
		if mechanism == "SCRAM-SHA-256" {
			return a.AsSha256Mechanism(), nil
		}
		return a.AsSha512Mechanism(), nil
	case "OAUTHBEARER":
		return oa.mechanism(login)
	}
	return noMechanism(mechanism)
}

// Login is one line of a JAAS configuration.
type Login struct {
	Module  string
	Options map[string]string
}

// invalidJAAS begins what is wrong with a login: Kafka's clients find it when they are built, and not with the other values.
const invalidJAAS = "Invalid value for configuration sasl.jaas.config: "

// ParseJAAS reads sasl.jaas.config: `Module flag key="value" ... ;`. An empty
// string gives nil.
func ParseJAAS(s string) (*Login, error) {
	tokens, err := jaasTokens(s)
	if err != nil || len(tokens) == 0 {
		return nil, err
	}
	bad := func(why string) error {
		return &ConfigError{invalidJAAS + why}
	}
	if tokens[len(tokens)-1] != ";" {
		return nil, bad("it must end with a semicolon")
	}
	tokens = tokens[:len(tokens)-1]
	if len(tokens) < 2 {
		return nil, bad("expected a login module and a control flag (usually \"required\")")
	}
	l := &Login{Module: tokens[0], Options: map[string]string{}}
	switch strings.ToLower(tokens[1]) {
	case "required", "requisite", "sufficient", "optional":
	default:
		return nil, bad(fmt.Sprintf("the control flag %q is not one of required, requisite, sufficient, optional", tokens[1]))
	}
	rest := tokens[2:]
	for len(rest) > 0 {
		if len(rest) < 3 || rest[1] != "=" {
			return nil, bad(fmt.Sprintf("option %q has no value", rest[0]))
		}
		l.Options[rest[0]] = rest[2]
		rest = rest[3:]
	}
	return l, nil
}

func jaasTokens(s string) ([]string, error) {
	var out []string
	for i := 0; i < len(s); {
		switch c := s[i]; {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			i++
		case c == '=' || c == ';':
			out = append(out, string(c))
			i++
		case c == '"' || c == '\'':
			var b strings.Builder
			j := i + 1
			for j < len(s) && s[j] != c {
				if s[j] == '\\' && j+1 < len(s) {
					j++
				}
				b.WriteByte(s[j])
				j++
			}
			if j >= len(s) {
				return nil, &ConfigError{invalidJAAS + "a quote is not closed"}
			}
			out = append(out, b.String())
			i = j + 1
		default:
			j := i
			for j < len(s) && !strings.ContainsRune(" \t\r\n=;\"", rune(s[j])) {
				j++
			}
			out = append(out, s[i:j])
			i = j
		}
	}
	return out, nil
}

type oauthSettings struct {
	tokenURL, clientID, clientSecret, scope string
}

func readOAuth(r *reader) oauthSettings {
	return oauthSettings{
		tokenURL:     r.str("sasl.oauthbearer.token.endpoint.url", ""),
		clientID:     r.str("sasl.oauthbearer.client.credentials.client.id", ""),
		clientSecret: r.str("sasl.oauthbearer.client.credentials.client.secret", ""),
		scope:        r.str("sasl.oauthbearer.scope", ""),
	}
}

// mechanism supports three sources of a token: a file:// endpoint, the client
// credentials flow, and the unsecured development token of Kafka's login module.
func (o oauthSettings) mechanism(login *Login) (sasl.Mechanism, error) {
	opt := func(k string) string {
		if login == nil {
			return ""
		}
		return login.Options[k]
	}
	if o.clientID == "" {
		o.clientID, o.clientSecret = opt("clientId"), opt("clientSecret")
	}
	if o.scope == "" {
		o.scope = opt("scope")
	}
	switch {
	case strings.HasPrefix(o.tokenURL, "file:"):
		path := strings.TrimPrefix(strings.TrimPrefix(o.tokenURL, "file:"), "//")
		return oauth.Oauth(func(context.Context) (oauth.Auth, error) {
			b, err := os.ReadFile(path)
			if err != nil {
				return oauth.Auth{}, &FileError{Path: path, Cause: err}
			}
			return oauth.Auth{Token: strings.TrimSpace(string(b))}, nil
		}), nil
	case o.tokenURL != "":
		return oauth.Oauth(o.fetchToken), nil
	case opt("unsecuredLoginStringClaim_sub") != "":
		return oauth.Oauth(func(context.Context) (oauth.Auth, error) {
			return oauth.Auth{Token: unsecuredToken(opt("unsecuredLoginStringClaim_sub"))}, nil
		}), nil
	}
	return nil, &ConfigError{"The OAuth configuration option sasl.oauthbearer.token.endpoint.url value must be non-null"}
}

func unsecuredToken(subject string) string {
	now := time.Now()
	claims, err := json.Marshal(map[string]any{"sub": subject, "iat": now.Unix(), "exp": now.Add(time.Hour).Unix()})
	if err != nil {
		return ""
	}
	return base64URL([]byte(`{"alg":"none"}`)) + "." + base64URL(claims) + "."
}

// maxTokenBytes bounds a token endpoint's answer; real ones are a few KiB.
const maxTokenBytes = 1 << 20

func (o oauthSettings) fetchToken(ctx context.Context) (oauth.Auth, error) {
	form := url.Values{"grant_type": {"client_credentials"}}
	if o.scope != "" {
		form.Set("scope", o.scope)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, o.tokenURL, strings.NewReader(form.Encode()))
	if err != nil {
		return oauth.Auth{}, fmt.Errorf("cannot ask for a token: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(o.clientID, o.clientSecret)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return oauth.Auth{}, fmt.Errorf("cannot ask for a token: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxTokenBytes))
	if err != nil {
		return oauth.Auth{}, fmt.Errorf("cannot read the token endpoint's answer: %w", err)
	}
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	if resp.StatusCode/100 != 2 || json.Unmarshal(body, &answer) != nil || answer.AccessToken == "" {
		return oauth.Auth{}, fmt.Errorf("the token endpoint %s answered %s without a token", o.tokenURL, resp.Status)
	}
	return oauth.Auth{Token: answer.AccessToken}, nil
}

func readTLS(r *reader, use bool) (*tls.Config, error) {
	identification := r.str("ssl.endpoint.identification.algorithm", "https")
	protocols := r.list("ssl.enabled.protocols")
	suites := r.list("ssl.cipher.suites")
	trustType, keyType := r.str("ssl.truststore.type", "JKS"), r.str("ssl.keystore.type", "JKS")
	trustPath, keyPath := r.str("ssl.truststore.location", ""), r.str("ssl.keystore.location", "")
	trustPEM, keyPEM, chainPEM := r.str("ssl.truststore.certificates", ""), r.str("ssl.keystore.key", ""), r.str("ssl.keystore.certificate.chain", "")
	r.str("ssl.truststore.password", "")
	r.str("ssl.keystore.password", "")
	r.str("ssl.key.password", "")
	if !use {
		return nil, nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if err := setVersions(c, protocols); err != nil {
		return nil, err
	}
	if err := setSuites(c, suites); err != nil {
		return nil, err
	}
	trust, err := pemSource(trustPEM, trustPath, trustType, "truststore")
	if err != nil {
		return nil, err
	}
	if trust != nil {
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(trust) {
			return nil, &ConfigError{"Failed to load SSL truststore " + trustPath + " of type PEM: it holds no certificate"}
		}
	}
	if err := setKeyPair(c, keyPEM, chainPEM, keyPath, keyType); err != nil {
		return nil, err
	}
	if identification == "" {
		skipNameCheck(c)
	}
	return c, nil
}

// skipNameCheck verifies the chain and not the name, which is what an empty
// ssl.endpoint.identification.algorithm means.
func skipNameCheck(c *tls.Config) {
	roots := c.RootCAs
	c.InsecureSkipVerify = true // the chain is verified below, without the name
	c.VerifyConnection = func(cs tls.ConnectionState) error {
		if len(cs.PeerCertificates) == 0 {
			return errors.New("the broker sent no certificate")
		}
		opts := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool()}
		for _, cert := range cs.PeerCertificates[1:] {
			opts.Intermediates.AddCert(cert)
		}
		_, err := cs.PeerCertificates[0].Verify(opts)
		return err
	}
}

func setVersions(c *tls.Config, protocols []string) error {
	if len(protocols) == 0 {
		return nil
	}
	known := map[string]uint16{"TLSv1.2": tls.VersionTLS12, "TLSv1.3": tls.VersionTLS13}
	c.MinVersion, c.MaxVersion = tls.VersionTLS13, tls.VersionTLS12
	for _, p := range protocols {
		v, ok := known[p]
		if !ok {
			return &ConfigError{fmt.Sprintf("Invalid value %s for configuration ssl.enabled.protocols: TLSv1.2 and TLSv1.3 are available", p)}
		}
		c.MinVersion, c.MaxVersion = min(c.MinVersion, v), max(c.MaxVersion, v)
	}
	return nil
}

func setSuites(c *tls.Config, names []string) error {
	ids := map[string]uint16{}
	for _, s := range tls.CipherSuites() {
		ids[s.Name] = s.ID
	}
	for _, n := range names {
		id, ok := ids[n]
		if !ok {
			return &ConfigError{fmt.Sprintf("Invalid value %s for configuration ssl.cipher.suites: unknown or insecure cipher suite", n)}
		}
		c.CipherSuites = append(c.CipherSuites, id)
	}
	return nil
}

func pemSource(inline, path, storeType, what string) ([]byte, error) {
	if inline != "" {
		return []byte(inline), nil
	}
	if path == "" {
		return nil, nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, &ConfigError{fmt.Sprintf("Failed to load SSL %s %s of type %s: %v", what, path, storeType, (&FileError{path, err}).Error())}
	}
	if block, _ := pem.Decode(b); block == nil {
		return nil, &ConfigError{fmt.Sprintf("Failed to load SSL %s %s of type %s: it is not a PEM file; convert it (keytool -importkeystore to PKCS12, then openssl pkcs12 -nodes) and set ssl.%s.type=PEM", what, path, storeType, what)}
	}
	return b, nil
}

func setKeyPair(c *tls.Config, key, chain, path, storeType string) error {
	if key == "" && path != "" {
		b, err := pemSource("", path, storeType, "keystore")
		if err != nil {
			return err
		}
		key, chain = string(b), string(b)
	}
	if key == "" {
		return nil
	}
	pair, err := tls.X509KeyPair([]byte(chain), []byte(key))
	if err != nil {
		return &ConfigError{"Failed to load SSL keystore of type PEM: " + strings.TrimPrefix(err.Error(), "tls: ")}
	}
	c.Certificates = []tls.Certificate{pair}
	return nil
}
