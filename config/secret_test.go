package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

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
		planted:               planted,
		planted + "\n":        planted,
		planted + "\r\n":      planted,
		planted + " \n\n":     planted + " \n",
		" leading and spaces": " leading and spaces",
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
	equal(t, "problems", problemsOf(t, err), []string{"http.password: is given here and in http.password_file; keep one of the two (environment LEADSTREAM_HTTP_PASSWORD)"})
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
