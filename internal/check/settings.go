package check

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// CallbackPath is where the connector waits for the browser after consent.
const CallbackPath = "/oauth/callback"

const loginOnly = "consent by the status page does not work so, only leadstream auth login; "

// What is found in the settings means this.
var (
	settingWrong = meaning{"configuration", Fail, "%[1]s", "see leadstream config --example, and docs/configuration.md"}
	settingOdd   = meaning{"configuration", Warn, "%[1]s", ""}
	settingsGood = meaning{"configuration", Pass, "valid", ""}
	leadTypes    = meaning{"lead types", Pass, "%[1]s", ""}

	redirectElsewhere = meaning{"redirect URL", Warn, loginOnly + "the connector waits for the browser at " + CallbackPath + ", and %[1]s leads elsewhere",
		"end linkedin.redirect_url in " + CallbackPath + ", here and in the LinkedIn app"}
	redirectOtherPort = meaning{"redirect URL", Warn, loginOnly + "%[1]s leads to port %[3]s of this machine, and http.listen is %[2]s",
		"let http.listen and linkedin.redirect_url (in the LinkedIn app as well) have the same port: %[3]s or %[4]s"}
	redirectProxied = meaning{"redirect URL", Pass, "%[1]s; a proxy must lead it to http.listen, %[2]s", ""}
	redirectHere    = meaning{"redirect URL", Pass, "%[1]s leads to http.listen, %[2]s; it must stand exactly so in the LinkedIn app", ""}

	storeElsewhere  = meaning{"token store", Pass, "tokens are kept in %[1]s", ""}
	storeMissing    = meaning{"token store", Fail, "the directory of token.file: %[1]v", "make the directory of token.file, or set token.file to another"}
	storeNoFolder   = meaning{"token store", Fail, "%[1]s, where token.file is to be kept, is not a directory", "set token.file to a file in a directory"}
	storeUnwritable = meaning{"token store", Fail, "%[1]s cannot be written: %[2]v", "let this user write %[1]s, or set token.file to another place"}
	storePlain      = meaning{"token store", Pass, "%[1]s can be written; it is not encrypted, since token.passphrase is not set", ""}
	storeEncrypted  = meaning{"token store", Pass, "%[1]s can be written; token.passphrase is set, so it is encrypted, at the latest when it is next used", ""}
)

func (k *checker) configuration(context.Context) error {
	for _, w := range k.Warnings {
		k.say(settingOdd, w)
	}
	if len(k.Warnings) == 0 {
		k.say(settingsGood)
	}
	k.say(leadTypes, strings.Join(k.Config.LinkedIn.LeadTypes, ", "))
	return nil
}

// redirect compares where LinkedIn sends the browser with where we listen.
func (k *checker) redirect(context.Context) error {
	listen := k.Config.HTTP.Listen
	u, err := url.Parse(k.Config.LinkedIn.RedirectURL)
	_, port, unsplit := net.SplitHostPort(listen)
	if err := errors.Join(err, unsplit); err != nil { // the configuration has been checked
		return err
	}
	found := redirectHere
	at := localPort(u)
	switch {
	case u.Path != CallbackPath:
		found = redirectElsewhere
	case at == "":
		found = redirectProxied
	case at != port:
		found = redirectOtherPort
	}
	k.say(found, u, listen, at, port)
	return nil
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
func (k *checker) tokenStore(context.Context) error {
	t := k.Config.Token
	if t.Store != "file" {
		k.say(storeElsewhere, t.Store)
		return nil
	}
	dir := filepath.Dir(t.File)
	info, err := os.Stat(dir)
	switch {
	case err != nil:
		k.say(storeMissing, err)
		return nil
	case !info.IsDir():
		k.say(storeNoFolder, dir)
		return nil
	}
	// A file is replaced as a whole, so the directory must be writable as well.
	for _, path := range []string{dir, t.File} {
		if err := writable(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			k.say(storeUnwritable, path, err)
			return nil
		}
	}
	found := storePlain
	if t.Passphrase.IsSet() {
		found = storeEncrypted
	}
	k.say(found, t.File)
	return nil
}
