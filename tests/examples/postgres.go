package examples

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/moldau-stream/moldau/tests/node"
	"github.com/moldau-stream/moldau/tests/tools"
)

// databaseTimeout is how long PostgreSQL may take to start.
const databaseTimeout = 60 * time.Second

// startDatabase starts a PostgreSQL of its own, whose data nobody keeps, and returns its address.
func startDatabase(ctx context.Context, cache *tools.Cache) (address string, stop func(), err error) {
	bin, err := postgresPrograms(cache)
	if err != nil {
		return "", nil, err
	}
	who, err := databaseUser()
	if err != nil {
		return "", nil, err
	}
	dir, err := os.MkdirTemp("", "moldau-postgres-")
	if err != nil {
		return "", nil, err
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(dir)
		}
	}()
	if who != nil {
		if err := os.Chown(dir, int(who.Uid), int(who.Gid)); err != nil {
			return "", nil, err
		}
	}
	data := filepath.Join(dir, "data")
	if out, err := as(who, exec.CommandContext(ctx, filepath.Join(bin, "initdb"), "-D", data, "-A", "trust", "-U", "postgres"), dir).CombinedOutput(); err != nil {
		return "", nil, fmt.Errorf("cannot make a database: %w: %s", err, out)
	}
	ports, err := node.FreePorts(1)
	if err != nil {
		return "", nil, err
	}
	server := as(who, exec.Command(filepath.Join(bin, "postgres"), "-D", data, "-h", "127.0.0.1", "-p", ports[0], "-k", dir), dir)
	if err := server.Start(); err != nil {
		return "", nil, fmt.Errorf("cannot start PostgreSQL: %w", err)
	}
	stop = func() {
		_ = server.Process.Signal(syscall.SIGQUIT) // at once: nobody needs the data
		_ = server.Wait()
		_ = os.RemoveAll(dir)
	}
	address = "127.0.0.1:" + ports[0]
	if err := answers(address); err != nil {
		stop()
		return "", nil, err
	}
	return address, stop, nil
}

func answers(address string) error {
	var err error
	for deadline := time.Now().Add(databaseTimeout); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		var c net.Conn
		if c, err = net.DialTimeout("tcp", address, time.Second); err == nil {
			return c.Close()
		}
	}
	return fmt.Errorf("PostgreSQL does not answer: %w", err)
}

// postgresPrograms is where Debian keeps them; it installs the package when we may.
func postgresPrograms(cache *tools.Cache) (string, error) {
	find := func() (string, error) {
		dirs, err := filepath.Glob("/usr/lib/postgresql/*/bin")
		if err == nil && len(dirs) == 0 {
			err = errors.New("PostgreSQL is not installed")
		}
		if err != nil {
			return "", err
		}
		return dirs[len(dirs)-1], nil
	}
	if dir, err := find(); err == nil {
		return dir, nil
	}
	if _, err := cache.Debian("pg_ctlcluster", "postgresql"); err != nil {
		return "", err
	}
	return find()
}

// databaseUser is who the database runs as: PostgreSQL refuses root. Nil: ourselves.
func databaseUser() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, bad1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, bad2 := strconv.ParseUint(u.Gid, 10, 32)
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, errors.Join(bad1, bad2)
	}
	return nil, errors.New("there is no user that PostgreSQL could run as")
}

func as(who *syscall.Credential, cmd *exec.Cmd, dir string) *exec.Cmd {
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: who}
	return cmd
}
