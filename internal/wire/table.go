package wire

import (
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Table says what one listener serves. It is built once and never changes; any
// goroutine may read it.
type Table struct {
	kind   Listener
	ranges []Range // sorted by key
	byKey  [][]Version
	names  []string
}

// NewTable builds the table of a listener from what is registered there. Each range
// must lie within what Kafka serves on that kind of listener.
func NewTable(kind Listener, ranges []Range) (*Table, error) {
	t := &Table{kind: kind, ranges: slices.Clone(ranges)}
	slices.SortFunc(t.ranges, func(a, b Range) int { return int(a.Key) - int(b.Key) })
	known := append(catalog(), parseCatalog(privateText)...)
	for i, r := range t.ranges {
		if i > 0 && t.ranges[i-1].Key == r.Key {
			return nil, fmt.Errorf("cannot build the %s's API table: key %d is there twice", kind, r.Key)
		}
		at := slices.IndexFunc(known, func(a api) bool { return a.Key == r.Key && a.serves(kind) })
		if at < 0 {
			return nil, fmt.Errorf("cannot build the %s's API table: Kafka has no API %d on such a listener", kind, r.Key)
		}
		if err := t.add(&known[at], r); err != nil {
			return nil, fmt.Errorf("cannot build the %s's API table: %w", kind, err)
		}
	}
	return t, nil
}

func (t *Table) add(a *api, r Range) error {
	if r.Min < a.Min || r.Max > a.Max || r.Min > r.Max || r.AdvertisedMin > r.Min || r.AdvertisedMin < 0 {
		return fmt.Errorf("%s at versions %d to %d, advertised from %d: Kafka's are %d to %d", a.name, r.Min, r.Max, r.AdvertisedMin, a.Min, a.Max)
	}
	versions, err := a.versions(r.Min, r.Max)
	if err != nil {
		return err
	}
	for len(t.byKey) <= int(r.Key) {
		t.byKey = append(t.byKey, nil)
		t.names = append(t.names, "")
	}
	t.byKey[r.Key], t.names[r.Key] = versions, a.name
	return nil
}

// Kind is the kind of listener that the table is for.
func (t *Table) Kind() Listener { return t.kind }

// Ranges is what the table serves, sorted by key: what ApiVersions answers. The
// slice is the table's own and must not be written to.
func (t *Table) Ranges() []Range { return t.ranges }

// Lookup finds an API at a version, or says with ErrUnknownAPI or ErrUnsupportedVersion that it is not served.
func (t *Table) Lookup(key, version int16) (*Version, error) {
	if key < 0 || int(key) >= len(t.byKey) || t.byKey[key] == nil {
		return nil, fmt.Errorf("%w: key %d, version %d, on a %s listener", ErrUnknownAPI, key, version, t.kind)
	}
	versions := t.byKey[key]
	i := int(version) - int(versions[0].Version)
	if i < 0 || i >= len(versions) {
		return nil, fmt.Errorf("%w: %s v%d, versions %d to %d are served", ErrUnsupportedVersion, t.names[key], version, versions[0].Version, versions[len(versions)-1].Version)
	}
	return &versions[i], nil
}

// ApiKeys is what the table serves as an ApiVersions response lists it. A request at a
// version that is not served gets UNSUPPORTED_VERSION and, as Kafka 4.3 has it, the entry of ApiVersions alone:
// see ApiVersionsOnly.
func (t *Table) ApiKeys() []kmsg.ApiVersionsResponseApiKey {
	keys := make([]kmsg.ApiVersionsResponseApiKey, 0, len(t.ranges))
	for _, r := range t.ranges {
		if r.Key < PrivateKeys {
			keys = append(keys, r.apiKey())
		}
	}
	return keys
}

// ApiVersionsOnly is the entry of ApiVersions, for a client whose version of it is not served.
func (t *Table) ApiVersionsOnly() []kmsg.ApiVersionsResponseApiKey {
	for _, r := range t.ranges {
		if r.Key == int16(kmsg.ApiVersions) {
			return []kmsg.ApiVersionsResponseApiKey{r.apiKey()}
		}
	}
	return nil
}

func (r Range) apiKey() kmsg.ApiVersionsResponseApiKey {
	k := kmsg.NewApiVersionsResponseApiKey()
	k.ApiKey, k.MinVersion, k.MaxVersion = r.Key, r.AdvertisedMin, r.Max
	return k
}
