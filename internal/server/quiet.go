package server

import "time"

// EachSilence visits the connections with how long each has sent nothing; until fn returns false.
func (s *Server) EachSilence(fn func(c *Conn, silent time.Duration) bool) {
	now := s.now()
	for _, c := range s.all() {
		if !fn(c, time.Duration(now-c.lastReadAt.Load())) {
			return
		}
	}
}
