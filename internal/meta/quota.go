package meta

import (
	"slices"
	"strings"
)

// sortedEntity is the entity with its parts in the one order that makes it comparable.
func sortedEntity(entity []QuotaEntity) []QuotaEntity {
	out := slices.Clone(entity)
	slices.SortFunc(out, func(a, b QuotaEntity) int { return strings.Compare(a.EntityType, b.EntityType) })
	return out
}

// quotaKey is the entity as a text; no part of it can be read as another one, because 0 ends each.
func quotaKey(entity []QuotaEntity) string {
	var b strings.Builder
	for _, e := range sortedEntity(entity) {
		b.WriteString(e.EntityType)
		b.WriteByte(0)
		if e.EntityName == nil {
			b.WriteByte(0)
		} else {
			b.WriteByte(1)
			b.WriteString(*e.EntityName)
			b.WriteByte(0)
		}
	}
	return b.String()
}
