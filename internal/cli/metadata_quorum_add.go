package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/moldau-stream/moldau/internal/client"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// newController is what add-controller reads of a controller's own files.
type newController struct {
	id        int32
	directory [16]byte
	listeners []kmsg.AddRaftVoterRequestListener
}

const notController = " in configuration file. Is this a valid controller configuration file?"

func readControllerToAdd(file string) (*newController, error) {
	p, err := client.LoadProperties(file)
	if err != nil {
		return nil, err
	}
	id := strings.TrimSpace(p["node.id"])
	if id == "" {
		return nil, errors.New("node.id not found" + notController)
	}
	n, err := strconv.ParseInt(id, 10, 32)
	if err != nil {
		return nil, numberFormat(id)
	}
	if n < 0 {
		return nil, errors.New("node.id was negative" + notController)
	}
	if !contains(commaList(p["process.roles"]), "controller") {
		return nil, errors.New("process.roles did not contain 'controller'" + notController)
	}
	c := &newController{id: int32(n)}
	if c.directory, err = metadataDirectoryID(p); err != nil {
		return nil, err
	}
	c.listeners, err = controllerListeners(p)
	return c, err
}

// metadataDirectoryID reads the id of the directory that holds the metadata log.
func metadataDirectoryID(p client.Properties) (id [16]byte, err error) {
	dir := strings.TrimSpace(p["metadata.log.dir"])
	if dir == "" {
		if dirs := append(commaList(p["log.dirs"]), commaList(p["log.dir"])...); len(dirs) > 0 {
			dir = dirs[0]
		}
	}
	if dir == "" {
		return id, errors.New("Neither metadata.log.dir nor log.dirs were found" + notController)
	}
	if _, err := os.Stat(dir); err != nil {
		return id, fmt.Errorf("Unable to find metadata log directory %s: is the controller formatted?", dir)
	}
	meta, err := client.LoadProperties(filepath.Join(dir, "meta.properties"))
	if err != nil {
		return id, err
	}
	if meta["directory.id"] == "" {
		return id, fmt.Errorf("%s/meta.properties has no directory.id: start the controller once, or format it", dir)
	}
	return parseUUID(meta["directory.id"])
}

func controllerListeners(p client.Properties) ([]kmsg.AddRaftVoterRequestListener, error) {
	names := commaList(p["controller.listener.names"])
	if len(names) == 0 {
		return nil, errors.New("controller.listener.names was empty or not found" + notController)
	}
	found := map[string]string{}
	for _, key := range []string{"listeners", "advertised.listeners"} {
		for _, l := range commaList(p[key]) {
			if name, addr, ok := strings.Cut(l, "://"); ok {
				found[strings.ToUpper(name)] = addr
			}
		}
	}
	var out []kmsg.AddRaftVoterRequestListener
	for _, name := range names {
		addr, ok := found[strings.ToUpper(name)]
		if !ok {
			return nil, fmt.Errorf("Cannot find information about controller listener name: %s", name)
		}
		at := strings.LastIndexByte(addr, ':')
		port, err := strconv.ParseUint(addr[at+1:], 10, 16)
		if at < 0 || err != nil {
			return nil, fmt.Errorf("%s://%s is not an address with a port", name, addr)
		}
		host := strings.Trim(addr[:at], "[]")
		if host == "" {
			if host, err = os.Hostname(); err != nil {
				return nil, fmt.Errorf("cannot find the name of this machine: %w", err)
			}
		}
		l := kmsg.NewAddRaftVoterRequestListener()
		l.Name, l.Host, l.Port = strings.ToUpper(name), host, uint16(port)
		out = append(out, l)
	}
	return out, nil
}
