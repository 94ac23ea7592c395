package interop

import (
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

func TestTheWorkerIsAskedByConnectionsThatAreClosed(t *testing.T) {
	closed := make(chan struct{}, 1)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	srv.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			closed <- struct{}{}
		}
	}
	srv.Start()
	defer srv.Close()
	if err := workerAt(srv.URL).call(t.Context(), "PUT", "/", nil, nil); err != nil {
		t.Fatal(err)
	}
	select {
	case <-closed:
	case <-time.After(10 * time.Second):
		t.Fatal("the connection is still open")
	}
}
