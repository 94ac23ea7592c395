package group

import (
	"github.com/moldau-stream/moldau/internal/coord"
)

// foreignGroup is a group of a protocol that is not served here: a share or streams
// group that another broker has left in the log. Its records stay in the log as they are;
// their keys are kept so that the group is seen, is not taken for something else, and
// can be deleted.
type foreignGroup struct {
	kind int16               // the type of the key that makes the group: share or streams
	keys map[string]struct{} // of all its records
	live int                 // how many of these are members
}

// familyOf is the type of key under which the group of a key of type kind exists.
func familyOf(kind int16) int16 {
	switch {
	case kind < keyRegex: // 9 (a retired share key) to 15
		return keyShareGroup
	default:
		return keyStreamsGroup
	}
}

func isMemberKey(kind int16) bool {
	return kind == keyShareMember || kind == keyStreamsMember
}

// groupTypeNames are Kafka's names for ListGroups.
func (f *foreignGroup) typeName() string {
	switch f.kind {
	case keyShareGroup:
		return "share"
	default:
		return "streams"
	}
}

func (f *foreignGroup) state() string {
	if f.live == 0 {
		return Empty.String()
	}
	return Stable.String()
}

func (s *Shard) replayForeign(k recordKey, r coord.Record) {
	f := s.foreign[k.group]
	key := string(r.Key)
	if r.Value == nil {
		if f == nil {
			return
		}
		if _, had := f.keys[key]; had && isMemberKey(k.kind) {
			f.live--
		}
		if delete(f.keys, key); len(f.keys) == 0 {
			delete(s.foreign, k.group)
			if len(s.offsets.byGroup[k.group]) > 0 && s.groups[k.group] == nil {
				s.groups[k.group] = s.newGroup(k.group, -1)
			}
		}
		return
	}
	if f == nil {
		f = &foreignGroup{kind: familyOf(k.kind), keys: map[string]struct{}{}}
		s.foreign[k.group] = f
		if g := s.groups[k.group]; g != nil && g.protocolType == "" && len(g.members) == 0 {
			g.unweighAll()
			delete(s.groups, k.group) // it was made up for offsets whose group comes only now
		}
	}
	if _, had := f.keys[key]; !had && isMemberKey(k.kind) {
		f.live++
	}
	f.keys[key] = struct{}{}
}

// tombstones unmakes the group.
func (f *foreignGroup) tombstones() []coord.Record {
	var out []coord.Record
	for _, key := range sortedKeys(f.keys) {
		out = append(out, coord.Record{Key: []byte(key)})
	}
	return out
}
