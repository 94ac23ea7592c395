package wire

import (
	"fmt"
	"reflect"
	"sort"
	"strings"
)

// masked are fields whose value differs from server to server or from run to
// run; only whether they are set is compared.
var masked = map[string]bool{
	"ClusterID": true, "TopicID": true, "MemberID": true, "LeaderID": true, "Host": true, "Port": true, "ProducerID": true, "ErrorMessage": true,
	"Timestamp": true, "LogAppendTime": true, "SessionID": true, "Records": true, "RecordBatches": true, "BaseOffset": true, "Rack": true,
	"LogDir": true, "Dir": true, "Size": true, "TotalBytes": true, "UsableBytes": true, "ClientID": true, "ClientHost": true, "ClientInstanceID": true,
	"LogEndOffset": true, "LastFetchTimestamp": true, "LastCaughtUpTimestamp": true,
	"ReplicaDirectoryID": true, "LogStartTimestamp": true, "LastTimestamp": true, "BrokerEpoch": true, "SubscriptionID": true, "MetadataMessage": true,
}

// dropped are fields that say nothing about behaviour, or that are a server's own business.
var dropped = map[string]bool{"Version": true, "UnknownTags": true, "ThrottleMillis": true, "Documentation": true,
	"SupportedFeatures": true, "FinalizedFeatures": true, "FinalizedFeaturesEpoch": true, "ZkMigrationReady": true}

// render writes a response as one line: fields in order, zero values left out,
// lists of named things sorted by their text.
func render(v any) string {
	var b strings.Builder
	renderValue(&b, reflect.Indirect(reflect.ValueOf(v)))
	return b.String()
}

func renderValue(b *strings.Builder, v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		renderStruct(b, v)
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			fmt.Fprintf(b, "%q", v.Bytes())
			return
		}
		parts := make([]string, v.Len())
		for i := range parts {
			var p strings.Builder
			renderValue(&p, v.Index(i))
			parts[i] = p.String()
		}
		sort.Strings(parts)
		b.WriteString("[" + strings.Join(parts, " ") + "]")
	case reflect.Pointer:
		renderValue(b, v.Elem())
	case reflect.String:
		fmt.Fprintf(b, "%q", v.String())
	default:
		fmt.Fprint(b, v.Interface())
	}
}

func renderStruct(b *strings.Builder, v reflect.Value) {
	b.WriteByte('{')
	first := true
	for i := range v.NumField() {
		name, f := v.Type().Field(i).Name, v.Field(i)
		if dropped[name] || !v.Type().Field(i).IsExported() {
			continue
		}
		null := (f.Kind() == reflect.Pointer || f.Kind() == reflect.Slice) && f.IsNil()
		if f.IsZero() && f.Kind() != reflect.Pointer && f.Kind() != reflect.Slice {
			continue
		}
		if !first {
			b.WriteByte(' ')
		}
		first = false
		b.WriteString(name + ":")
		switch {
		case null:
			b.WriteString("null")
		case masked[name] && f.Kind() == reflect.Slice && f.Len() == 0, masked[name] && f.Kind() == reflect.Pointer && f.Elem().IsZero():
			b.WriteString("empty")
		case masked[name]:
			b.WriteString("*")
		default:
			renderValue(b, f)
		}
	}
	b.WriteByte('}')
}
