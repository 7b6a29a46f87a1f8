package server

import (
	"io"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"galen/server/console"
)

// OpenConsole serves the web pages at /console, which ask this server's API as
// whoever signed in. Call it before Serve, once. Random must be fit for secrets.
// The error is of Kind Internal.
func (s *Server) OpenConsole(random io.Reader, now func() time.Time) error {
	pages, err := console.New(console.Config{
		API: s, Auth: s.Auth, Decider: s.REST.Policies, Now: now, Random: random, Version: s.Version,
	})
	if err != nil {
		return err
	}
	methods := []string{http.MethodGet, http.MethodHead, http.MethodPost}
	s.engine.Match(methods, console.Prefix, gin.WrapH(pages))
	s.engine.Match(methods, console.Prefix+"/*page", gin.WrapH(pages))
	return nil
}
