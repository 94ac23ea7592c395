module github.com/moldau-stream/moldau/bench

go 1.26.0

require (
	github.com/moldau-stream/moldau v0.0.0
	github.com/twmb/franz-go v1.22.2
	github.com/twmb/franz-go/pkg/kmsg v1.15.0
	golang.org/x/image v0.47.0
	golang.org/x/sys v0.49.0
)

require (
	github.com/klauspost/compress v1.20.3 // indirect
	github.com/pierrec/lz4/v4 v4.1.33 // indirect
	golang.org/x/text v0.43.0 // indirect
)

replace github.com/moldau-stream/moldau => ../
