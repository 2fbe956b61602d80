package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.yaml.in/yaml/v3"
)

func TestASecretCannotBePrinted(t *testing.T) {
	type holder struct {
		Shown  Secret
		hidden Secret
	}
	secret := NewSecret(planted)
	h := holder{secret, secret}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T %v"} {
		fmt.Fprintf(&out, verb, secret)
		fmt.Fprintf(&out, verb, h)
		fmt.Fprintf(&out, verb, &h)
		fmt.Fprintf(&out, verb, []Secret{secret})
		fmt.Fprintf(&out, verb, map[string]any{"k": h})
	}
	for _, marshal := range []func(any) ([]byte, error){json.Marshal, yaml.Marshal} {
		text, err := marshal(h)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(text, []byte(redacted)) {
			t.Errorf("marshalled as %s, want it to say %s", text, redacted)
		}
		out.Write(text)
	}
	core := zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(&out), zap.DebugLevel)
	zap.New(core).Info("m", zap.Any("a", secret), zap.Any("b", h), zap.Reflect("c", secret), zap.Stringer("d", secret))
	slog.New(slog.NewTextHandler(&out, nil)).Info("m", "a", secret, "b", h)
	if s := out.String(); strings.Contains(s, planted) || strings.Contains(strings.ToLower(s), fmt.Sprintf("%x", planted)) {
		t.Errorf("the secret is in what was printed:\n%s", s)
	}
	equal(t, "Sprint", fmt.Sprint(secret), redacted)
	equal(t, "Sprint of none", fmt.Sprint(Secret{}), "")
	equal(t, "Reveal", secret.Reveal(), planted)
	equal(t, "IsSet", []bool{secret.IsSet(), NewSecret("").IsSet()}, []bool{true, false})
}

func TestASecretIsReadFromTheFileItsTwinNames(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	for text, want := range map[string]string{
		planted:                      planted,
		planted + "\n":               planted,
		planted + "\r\n":             planted,
		planted + " with blanks\n":   planted + " with blanks",
		planted + "-pässwörd-🔑-密码\n": planted + "-pässwörd-🔑-密码",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, _, err := Load(LoadOptions{NoFile: true, Environ: []string{"LEADSTREAM_HTTP_PASSWORD_FILE=" + path}})
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "password", c.HTTP.Password.Reveal(), want)
		for _, v := range c.Values() {
			if v.Key == "http.password" {
				equal(t, "value", v.Value, redacted)
				equal(t, "source", v.Source, "file "+path+" (environment LEADSTREAM_HTTP_PASSWORD_FILE)")
			}
		}
	}
}

func TestASecretAndItsTwinFromDifferentPlacesFollowThePrecedence(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("from file"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, _, err := Load(LoadOptions{Path: "testdata/minimal.good.yaml", Environ: []string{"LEADSTREAM_LINKEDIN_CLIENT_SECRET_FILE=" + file}})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "secret", c.LinkedIn.ClientSecret.Reveal(), "from file")
	_, _, err = Load(LoadOptions{NoFile: true, Environ: []string{"LEADSTREAM_HTTP_PASSWORD=" + planted, "LEADSTREAM_HTTP_PASSWORD_FILE=" + file}})
	equal(t, "problems", problemsOf(t, err), []string{"http.password: is given here and in http.password_file (environment LEADSTREAM_HTTP_PASSWORD_FILE); keep one of the two (environment LEADSTREAM_HTTP_PASSWORD)"})
}

func TestASecretIsRefusedOnTheCommandLine(t *testing.T) {
	_, _, err := Load(LoadOptions{NoFile: true, Flags: map[string]string{"http.password": planted, "http.pasword_file": planted}})
	equal(t, "problems", problemsOf(t, err), []string{
		"http.password: a secret cannot be a flag, since a command line is there for all to read; use LEADSTREAM_HTTP_PASSWORD or http.password_file (flag)",
		"http.pasword_file: no such key, did you mean http.password_file? (flag)",
	})
}

func TestEverySecretHasATwin(t *testing.T) {
	want := []string{"linkedin.client_secret", "token.passphrase", "kafka.sasl.password", "registry.password", "http.password"}
	var got []string
	for _, k := range Keys() {
		if k.Secret {
			got = append(got, k.Path)
			equal(t, "twin", k.FileTwin, k.Path+"_file")
		}
	}
	equal(t, "secrets", got, want)
}

// What came along with a secret when it was copied, saved or mounted is not taken
// for a part of it, wherever it came from: it is named by its key, and not shown.
func TestWhatNobodySeesIsNoPartOfASecret(t *testing.T) {
	mistakes := map[string]string{
		planted + "\n\n":                    "line break",
		planted + "\r\r\n":                  "line break",
		planted + "\r":                      "line break",
		"\n" + planted:                      "line break",
		planted + "\nsecond":                "line break",
		planted + "\u2028" + planted:        "line break",
		"\ufeff" + planted:                  "byte order mark",
		planted + "\ufeff":                  "byte order mark",
		planted + "\x00":                    "control character",
		planted + "\x1b[0m":                 "control character",
		planted + "\t" + planted:            "control character",
		" " + planted:                       "blank",
		planted + " ":                       "blank",
		planted + "\t":                      "control character",
		"\u00a0" + planted:                  "blank",
		"\u200b" + planted:                  "no width",
		planted + "\u200e":                  "no width",
		"   ":                               "blank",
		"\xff\xfeP\x00L\x00":                "UTF-8", // UTF-16, as some editors save
		planted + "\xe4":                    "UTF-8", // Latin-1
		strings.Repeat(planted, 3) + "\xc3": "UTF-8",
	}
	for _, key := range Keys() {
		if !key.Secret {
			continue
		}
		for text, says := range mistakes {
			file := filepath.Join(t.TempDir(), "secret")
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			document := filepath.Join(t.TempDir(), "leadstream.yaml")
			section, name, _ := strings.Cut(key.Path, ".")
			yamlText := fmt.Sprintf("%s:\n  %s: %s\n", section, name, strconv.Quote(text))
			if inner, last, deeper := strings.Cut(name, "."); deeper {
				yamlText = fmt.Sprintf("%s:\n  %s:\n    %s: %s\n", section, inner, last, strconv.Quote(text))
			}
			if err := os.WriteFile(document, []byte(yamlText), 0o600); err != nil {
				t.Fatal(err)
			}
			from := map[string]LoadOptions{
				"variable":           {NoFile: true, Environ: []string{key.Env + "=" + text}},
				"file":               {NoFile: true, Environ: []string{key.Env + "_FILE=" + file}},
				"configuration file": {Path: document},
			}
			if !utf8.ValidString(text) {
				delete(from, "configuration file") // which is UTF-8, or no YAML
			}
			for place, o := range from {
				c, _, err := Load(o)
				if err == nil {
					t.Errorf("%s from a %s: %q is taken as %q", key.Path, place, text, revealed(c, key.Path))
					continue
				}
				if !strings.Contains(err.Error(), key.Path) || strings.Contains(err.Error(), planted) {
					t.Errorf("%s from a %s: %v", key.Path, place, err)
				}
				// YAML has an opinion of its own of some bytes.
				if place != "configuration file" && !strings.Contains(err.Error(), says) {
					t.Errorf("%s from a %s: %q gives %v, want that it says %q", key.Path, place, text, err, says)
				}
			}
		}
	}
}

// revealed is the secret with that key.
func revealed(c *Config, key string) string {
	return map[string]Secret{
		"linkedin.client_secret": c.LinkedIn.ClientSecret, "token.passphrase": c.Token.Passphrase, "kafka.sasl.password": c.Kafka.SASL.Password,
		"registry.password": c.Registry.Password, "http.password": c.HTTP.Password,
	}[key].Reveal()
}

// The other texts of a login as well.
func TestWhatNobodySeesIsNoPartOfAText(t *testing.T) {
	for _, variable := range []string{"LEADSTREAM_LINKEDIN_CLIENT_ID", "LEADSTREAM_KAFKA_SASL_USERNAME", "LEADSTREAM_REGISTRY_USERNAME", "LEADSTREAM_NAME", "LEADSTREAM_KAFKA_BROKERS"} {
		for _, text := range []string{"\ufeffmy-app", "my\tapp", "my-app\u200b", "my-app\xff", "my-app\n"} {
			if _, _, err := Load(LoadOptions{NoFile: true, Environ: []string{variable + "=" + text}}); err == nil {
				t.Errorf("%s=%q is taken", variable, text)
			}
		}
	}
}

// A secret may come from a pipe, as of a shell's <(command), and a pipe to which
// nobody writes is not waited for for ever.
func TestASecretFromAPipeIsWaitedForAndNotForEver(t *testing.T) {
	wait := pipeWait
	t.Cleanup(func() { pipeWait = wait })
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	load := func() (string, error) {
		c, _, err := Load(LoadOptions{NoFile: true, Environ: []string{"LEADSTREAM_HTTP_PASSWORD_FILE=" + path}})
		if err != nil {
			return "", err
		}
		return c.HTTP.Password.Reveal(), nil
	}
	written := make(chan error, 1)
	go func() {
		f, err := os.OpenFile(path, os.O_WRONLY, 0) // which waits until it is read
		if err == nil {
			_, err = f.WriteString(planted[:3])
		}
		if err == nil {
			time.Sleep(30 * time.Millisecond)
			_, err = f.WriteString(planted[3:] + "\n")
		}
		written <- errors.Join(err, f.Close())
	}()
	if got, err := load(); err != nil || got != planted {
		t.Errorf("Load = %q, %v", got, err)
	}
	if err := <-written; err != nil {
		t.Error(err)
	}
	pipeWait = 50 * time.Millisecond
	if got, err := load(); err == nil || !strings.Contains(err.Error(), "http.password_file") || !strings.Contains(err.Error(), "nobody writes") {
		t.Errorf("Load of a silent pipe = %q, %v", got, err)
	}
	silent, err := os.OpenFile(path, os.O_RDWR, 0) // a writer that says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close() //nolint:errcheck // a pipe
	if got, err := load(); err == nil || !strings.Contains(err.Error(), "nobody writes") {
		t.Errorf("Load of a pipe with a silent writer = %q, %v", got, err)
	}
	if _, _, err := Load(LoadOptions{Path: path}); err == nil || !strings.Contains(err.Error(), "nobody writes") {
		t.Errorf("Load of a configuration from a silent pipe: %v", err)
	}
}
