package config

import "slices"

// The two roles of process.roles.
const (
	RoleBroker     = "broker"
	RoleController = "controller"
)

// NodeNumber is node.id.
func (c *Config) NodeNumber() int32 { return c.Int32(NodeID) }

// IsBroker is true when the node serves clients.
func (c *Config) IsBroker() bool { return slices.Contains(c.value(ProcessRoles).list, RoleBroker) }

// IsController is true when the node takes part in the metadata quorum.
func (c *Config) IsController() bool {
	return slices.Contains(c.value(ProcessRoles).list, RoleController)
}

// DataDirs are the directories for data: log.dirs, or log.dir where that is absent. Each stands once.
func (c *Config) DataDirs() []string {
	dirs := c.List(LogDirs)
	if len(dirs) == 0 {
		dirs = c.List(LogDir)
	}
	var once []string
	for _, d := range dirs {
		if !slices.Contains(once, d) {
			once = append(once, d)
		}
	}
	return once
}

// MetadataDir is the directory of the metadata log: metadata.log.dir, or the first of DataDirs.
func (c *Config) MetadataDir() string {
	if dir := c.String(MetadataLogDir); dir != "" {
		return dir
	}
	return c.DataDirs()[0]
}

const (
	msPerMinute = 60 * 1000
	msPerHour   = 60 * msPerMinute
)

// RetentionMs is how long records are kept: the strongest of log.retention.ms, .minutes and .hours; -1 is for ever.
func (c *Config) RetentionMs() int64 {
	ms := c.strongest(timeKey{LogRetentionMs, 1}, timeKey{LogRetentionMinutes, msPerMinute}, timeKey{LogRetentionHours, msPerHour})
	if ms < 0 {
		return -1
	}
	return ms
}

// RollMs is the age at which a segment is rolled: log.roll.ms or log.roll.hours.
func (c *Config) RollMs() int64 {
	return c.strongest(timeKey{LogRollMs, 1}, timeKey{LogRollHours, msPerHour})
}

// RollJitterMs is log.roll.jitter.ms or log.roll.jitter.hours.
func (c *Config) RollJitterMs() int64 {
	return c.strongest(timeKey{LogRollJitterMs, 1}, timeKey{LogRollJitterHours, msPerHour})
}

// FlushMs is log.flush.interval.ms or log.flush.scheduler.interval.ms.
func (c *Config) FlushMs() int64 {
	return c.strongest(timeKey{LogFlushIntervalMs, 1}, timeKey{LogFlushSchedulerIntervalMs, 1})
}

type timeKey struct {
	name string
	ms   int64 // in one unit of the key
}

// strongest is the first of the keys that has a value, in milliseconds.
func (c *Config) strongest(keys ...timeKey) int64 {
	for _, k := range keys {
		if v := c.value(k.name); !v.null {
			return v.num * k.ms
		}
	}
	return 0
}
