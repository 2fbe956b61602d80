package check

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"leadstream/config"
	"leadstream/internal/webhook"
)

func (k *checker) configuration(warnings []config.Warning) {
	for _, w := range warnings {
		k.warn("configuration", "", "%s", w)
	}
	if len(warnings) == 0 {
		k.pass("configuration", "valid")
	}
	k.pass("lead types", "%s", strings.Join(k.Config.LinkedIn.LeadTypes, ", "))
}

// CallbackPath is where the connector waits for the browser after consent.
const CallbackPath = "/oauth/callback"

// redirect compares where LinkedIn sends the browser with where we listen.
func (k *checker) redirect() {
	const check = "redirect URL"
	c := k.Config
	u, err := url.Parse(c.LinkedIn.RedirectURL)
	if err != nil { // the configuration has been checked
		k.fail(check, "fix linkedin.redirect_url", err)
		return
	}
	_, port, err := net.SplitHostPort(c.HTTP.Listen)
	if err != nil {
		k.fail(check, "fix http.listen", err)
		return
	}
	login := "consent by the status page does not work so, only leadstream auth login; "
	switch at := localPort(u); {
	case u.Path != CallbackPath:
		k.warn(check, "end linkedin.redirect_url in "+CallbackPath+", here and in the LinkedIn app",
			login+"the connector waits for the browser at %s, and %s leads elsewhere", CallbackPath, u)
	case at == "":
		k.pass(check, "%s; a proxy must lead it to http.listen, %s", u, c.HTTP.Listen)
	case at != port:
		k.warn(check, fmt.Sprintf("let http.listen and linkedin.redirect_url (in the LinkedIn app as well) have the same port: %s or %s", at, port),
			login+"%s leads to port %s of this machine, and http.listen is %s", u, at, c.HTTP.Listen)
	default:
		k.pass(check, "%s leads to http.listen, %s; it must stand exactly so in the LinkedIn app", u, c.HTTP.Listen)
	}
}

// localPort is the port of an address on this machine; empty for any other.
func localPort(u *url.URL) string {
	ip := net.ParseIP(u.Hostname())
	if u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return ""
	}
	if port := u.Port(); port != "" {
		return port
	}
	return map[string]string{"http": "80", "https": "443"}[u.Scheme]
}

// tokenStore looks whether tokens can be kept: a renewed one that cannot be
// written is not used. What the file holds is the business of "linkedin token".
func (k *checker) tokenStore() {
	const check = "token store"
	t := k.Config.Token
	if t.Store != "file" {
		k.pass(check, "tokens are kept in %s", t.Store)
		return
	}
	dir := filepath.Dir(t.File)
	info, err := os.Stat(dir)
	switch {
	case err != nil:
		k.fail(check, "make the directory of token.file, or set token.file to another", fmt.Errorf("the directory of token.file: %w", err))
		return
	case !info.IsDir():
		k.failf(check, "set token.file to a file in a directory", "%s, where token.file is to be kept, is not a directory", dir)
		return
	}
	// A file is replaced as a whole, so the directory must be writable as well.
	for _, path := range []string{dir, t.File} {
		if err := writable(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			k.fail(check, "let this user write "+path+", or set token.file to another place", fmt.Errorf("%s cannot be written: %w", path, err))
			return
		}
	}
	if !t.Passphrase.IsSet() {
		k.pass(check, "%s can be written; it is not encrypted, since token.passphrase is not set", t.File)
		return
	}
	k.pass(check, "%s can be written; token.passphrase is set, so it is encrypted, at the latest when it is next used", t.File)
}

// webhook asks the public address as LinkedIn does before it delivers anything:
// with a challenge, to be answered with the app's secret.
//
// Source: LinkedIn, webhook validation.
func (k *checker) webhook(ctx context.Context) {
	const check = "webhook"
	c := k.Config
	if c.Webhook.URL == "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	address, challenge := webhook.Address(c.Webhook.URL), rand.Text()
	answer, err := askWebhook(ctx, address, challenge)
	if err != nil {
		k.warn(check, "start the connector, and let "+address+" lead to webhook.listen, "+c.Webhook.Listen,
			"it cannot be asked from here, which may be due to this machine's network: %v", err)
		return
	}
	if answer.ChallengeCode != challenge || answer.ChallengeResponse != webhook.ChallengeResponse(c.LinkedIn.ClientSecret.Reveal(), challenge) {
		k.failf(check, "let it lead to webhook.listen, "+c.Webhook.Listen+", and compare linkedin.client_secret with the app's",
			"%s does not answer LinkedIn's challenge with this app's secret", address)
		return
	}
	k.pass(check, "%s answers LinkedIn's challenge", address)
}

// challengeAnswer is the answer to LinkedIn's challenge.
type challengeAnswer struct {
	ChallengeCode     string `json:"challengeCode"`
	ChallengeResponse string `json:"challengeResponse"`
}

// webhookWait is how long LinkedIn waits for the answer.
const webhookWait = 3 * time.Second

func askWebhook(ctx context.Context, address, challenge string) (answer challengeAnswer, err error) {
	ctx, cancel := context.WithTimeout(ctx, webhookWait)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address+"?challengeCode="+url.QueryEscape(challenge), nil)
	if err != nil {
		return answer, err
	}
	// LinkedIn asks this address, and not one that it may lead to.
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(req)
	if err != nil {
		return answer, err
	}
	defer func() { _ = res.Body.Close() }() // read as far as it matters
	body, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	if err != nil {
		return answer, err
	}
	if json.Unmarshal(body, &answer) != nil || res.StatusCode != http.StatusOK {
		return challengeAnswer{}, nil // an answer, and a wrong one
	}
	return answer, nil
}
