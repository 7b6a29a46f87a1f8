package origin_test

import (
	"crypto/tls"
	"net/http/httptest"
	"testing"

	"galen/server/origin"
)

func TestOf(t *testing.T) {
	cases := []struct {
		name       string
		headers    []string
		configured string
		tls        bool
		want       string
	}{
		{"Host", nil, "", false, "http://inner:80"},
		{"Host with TLS", nil, "", true, "https://inner:80"},
		{"configured", nil, "https://galen.example", false, "https://galen.example"},
		{"a proxy beats the configuration", []string{"X-Forwarded-Host", "ehr.example", "X-Forwarded-Proto", "https"}, "https://galen.example", false, "https://ehr.example"},
		{"X-Forwarded without a scheme", []string{"X-Forwarded-Host", "ehr.example"}, "", true, "https://ehr.example"},
		{"port", []string{"X-Forwarded-Proto", "https", "X-Forwarded-Host", "ehr.example", "X-Forwarded-Port", "8443"}, "", false, "https://ehr.example:8443"},
		{"default port", []string{"X-Forwarded-Proto", "http", "X-Forwarded-Host", "ehr.example", "X-Forwarded-Port", "80"}, "", false, "http://ehr.example"},
		{"a port in the host stays", []string{"X-Forwarded-Host", "ehr.example:1", "X-Forwarded-Port", "2"}, "", false, "http://ehr.example:1"},
		{"prefix", []string{"X-Forwarded-Host", "ehr.example", "X-Forwarded-Prefix", "/galen/"}, "", false, "http://ehr.example/galen"},
		{"a prefix that is no path", []string{"X-Forwarded-Host", "ehr.example", "X-Forwarded-Prefix", "galen?x"}, "", false, "http://ehr.example"},
		{"the first of several proxies", []string{"X-Forwarded-Proto", "https, http", "X-Forwarded-Host", "ehr.example, inner"}, "", false, "https://ehr.example"},
		{"Forwarded", []string{"Forwarded", `for=1.2.3.4;Proto=https;host="ehr.example:444", for=10.0.0.1`}, "", false, "https://ehr.example:444"},
		{"Forwarded comes first", []string{"Forwarded", "host=a.example", "X-Forwarded-Host", "b.example"}, "", false, "http://a.example"},
		{"no host", []string{"X-Forwarded-Host", "a/b?c"}, "", false, "http://inner:80"},
		{"no scheme of the web", []string{"X-Forwarded-Host", "ehr.example", "X-Forwarded-Proto", "gopher"}, "", false, "http://ehr.example"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "http://inner:80/fhir", nil)
			if c.tls {
				r.TLS = &tls.ConnectionState{}
			}
			for i := 0; i+1 < len(c.headers); i += 2 {
				r.Header.Set(c.headers[i], c.headers[i+1])
			}
			if got := origin.Of(r, c.configured); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}
