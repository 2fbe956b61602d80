package oauth

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// Two installations with the same app and the same redirect URL: LinkedIn's answer
// to the one comes to the other.
func TestACallbackOfAnotherInstallationChangesNothingHere(t *testing.T) {
	for _, there := range []func(*Options){
		func(o *Options) { o.Installation = "sales" },
		func(o *Options) { o.Connection = "acme" },
		func(o *Options) { o.Installation = "" },
	} {
		begun, here := newWorld(t, there), newWorld(t, nil)
		held := here.connect()
		told := false
		page := httptest.NewServer(here.Callback(func(Token, error) { told = true }))
		status, _, body := request(t, "GET", page.URL+"?code="+code+"&state="+url.QueryEscape(stateOf(t, begun.AuthorizeURL(""))))
		page.Close()
		if status != http.StatusUnauthorized || !strings.Contains(body, "belongs elsewhere") || !strings.Contains(body, "auth login") {
			t.Errorf("callback = %d %s", status, body)
		}
		if told || !here.store.token().Equal(held) || here.linkedin.count("/oauth/v2/accessToken") > 0 {
			t.Errorf("a consent of %s has changed something here", begun.states.purpose)
		}
	}
}
