// Package origin tells under which URL a client reached a server that may stand
// behind proxies: by Forwarded (RFC 7239) or X-Forwarded-*.
//
// What a header says is believed if it could be part of a URL. It goes into links
// and nothing else: no decision rests on it.
package origin

import (
	"net/http"
	"strings"
)

// Of is the absolute URL under which the client reached this server, with no
// slash at its end: what a proxy says in Forwarded or X-Forwarded-*, else the
// configured one, else the Host header.
func Of(r *http.Request, configured string) string {
	proto, host, prefix := forwarded(r.Header)
	if host == "" && configured != "" {
		return configured
	}
	if host == "" {
		host = r.Host
	}
	if proto == "" {
		proto = "http"
		if r.TLS != nil {
			proto = "https"
		}
	}
	return proto + "://" + host + strings.TrimRight(prefix, "/")
}

// forwarded reads the proxy's headers; a value that could not be part of a URL
// counts as absent.
func forwarded(h http.Header) (proto, host, prefix string) {
	for pair := range strings.SplitSeq(first(h.Get("Forwarded")), ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(pair), "=")
		value = strings.Trim(value, `"`)
		switch strings.ToLower(name) {
		case "proto":
			proto = value
		case "host":
			host = value
		}
	}
	if host == "" {
		proto, host = first(h.Get("X-Forwarded-Proto")), first(h.Get("X-Forwarded-Host"))
		if port := first(h.Get("X-Forwarded-Port")); host != "" && port != "" && !strings.Contains(host, ":") && !defaultPort(proto, port) {
			host += ":" + port
		}
	}
	prefix = first(h.Get("X-Forwarded-Prefix"))
	if proto != "http" && proto != "https" {
		proto = ""
	}
	if strings.ContainsAny(host, "/\\@?# \"<>") {
		host = ""
	}
	if !strings.HasPrefix(prefix, "/") || strings.ContainsAny(prefix, "?# \"<>\\") {
		prefix = ""
	}
	return proto, host, prefix
}

func defaultPort(proto, port string) bool {
	return proto == "http" && port == "80" || proto == "https" && port == "443"
}

func first(list string) string {
	head, _, _ := strings.Cut(list, ",")
	return strings.TrimSpace(head)
}
