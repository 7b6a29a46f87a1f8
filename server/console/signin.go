package console

import (
	"crypto/subtle"
	"net/http"
	"strings"

	"galen/policies"
	"galen/server/console/page"
	"galen/server/console/session"
)

const (
	sessionCookie = "galen_console"
	signInCookie  = "galen_console_sign_in" // holds what the sign-in form must bring along
)

// visit is one request of somebody who is signed in.
type visit struct {
	*http.Request
	session   session.Session
	principal policies.Principal
}

// view shows a page or does what a form asks for.
type view func(w http.ResponseWriter, v *visit)

// signed lets only those in who are signed in with a token that is still good,
// and forms only with the token of their session.
func (c *Console) signed(next view) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		cookie, err := r.Cookie(sessionCookie)
		if err != nil {
			c.askToSignIn(w, r, http.StatusOK, "")
			return
		}
		s, ok := c.sessions.Find(cookie.Value)
		if !ok {
			c.askToSignIn(w, r, http.StatusOK, "Your session has ended. Sign in again.")
			return
		}
		p, err := c.Auth.Verify(r.Context(), "Bearer "+s.Token)
		if err != nil {
			c.sessions.Close(s)
			c.askToSignIn(w, r, http.StatusOK, "Your token is no longer valid. Sign in with a new one.")
			return
		}
		v := &visit{r, s, p}
		if r.Method == http.MethodPost && subtle.ConstantTimeCompare([]byte(r.PostFormValue("csrf")), []byte(s.CSRF)) != 1 {
			c.fail(w, v, http.StatusForbidden, "This form is out of date. Go back, reload the page and send it again.")
			return
		}
		next(w, v)
	}
}

// askToSignIn shows the sign-in page. It never says what lies behind it.
func (c *Console) askToSignIn(w http.ResponseWriter, r *http.Request, status int, problem string) {
	secret, err := c.sessions.Secret()
	if err != nil {
		http.Error(w, "The sign-in page could not be made. Reload it.", http.StatusInternalServerError)
		return
	}
	c.setCookie(w, r, signInCookie, secret)
	c.render(w, status, "signin", &page.Data{Title: "Sign in", CSRF: secret, Problem: problem})
}

// setCookie sets a cookie of the console for as long as the browser is open; an
// empty value removes it.
func (c *Console) setCookie(w http.ResponseWriter, r *http.Request, name, value string) {
	age := 0
	if value == "" {
		age = -1
	}
	http.SetCookie(w, &http.Cookie{
		Name: name, Value: value, Path: Prefix, MaxAge: age, HttpOnly: true, SameSite: http.SameSiteStrictMode,
		Secure: r.TLS != nil || strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https"),
	})
}

func (c *Console) signIn(w http.ResponseWriter, r *http.Request) {
	cookie, err := r.Cookie(signInCookie)
	if err != nil || cookie.Value == "" || subtle.ConstantTimeCompare([]byte(r.PostFormValue("csrf")), []byte(cookie.Value)) != 1 {
		c.askToSignIn(w, r, http.StatusForbidden, "The sign-in form was out of date. Try again.")
		return
	}
	token := strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(r.PostFormValue("token")), "Bearer "))
	p, err := c.Auth.Verify(r.Context(), "Bearer "+token)
	if err != nil {
		// The API refuses the same token: that puts the attempt on record and
		// counts it against the rate of this address.
		refused := c.send(&visit{Request: r, session: session.Session{Token: token}}, http.MethodGet, "/fhir/Patient", nil, nil)
		problem := "This token is not valid here. Make a new one with: galen token --data DIR --sub NAME --role ROLE"
		if refused.status == http.StatusTooManyRequests {
			problem = "Too many attempts. Wait a minute and try again."
		}
		c.askToSignIn(w, r, http.StatusUnauthorized, problem)
		return
	}
	if p.Certificate != "" {
		c.askToSignIn(w, r, http.StatusUnauthorized, "This token is bound to a client certificate and cannot be used at the console.")
		return
	}
	if old, err := r.Cookie(sessionCookie); err == nil {
		if s, ok := c.sessions.Find(old.Value); ok {
			c.sessions.Close(s)
		}
	}
	value, err := c.sessions.Open(token)
	if err != nil {
		c.askToSignIn(w, r, http.StatusInternalServerError, "The session could not be started. Try again.")
		return
	}
	c.setCookie(w, r, signInCookie, "")
	c.setCookie(w, r, sessionCookie, value)
	http.Redirect(w, r, Prefix, http.StatusSeeOther)
}

func (c *Console) signOut(w http.ResponseWriter, v *visit) {
	c.sessions.Close(v.session)
	c.setCookie(w, v.Request, sessionCookie, "")
	http.Redirect(w, v.Request, Prefix, http.StatusSeeOther)
}
