package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"leadstream/internal/check"
	"leadstream/internal/linkedinsim"
)

// lookers are the commands that change nothing.
var lookers = [][]string{{"check"}, {"check", "--probe"}, {"auth", "status"}}

// look runs them all, and holds each to leave what kept gives as it is.
func (s *stack) look(over map[string]string, kept func() string) {
	s.t.Helper()
	before := kept()
	for _, args := range lookers {
		got := s.run(s.t.Context(), over, args...)
		if kept() != before {
			s.t.Errorf("leadstream %s changed what is stored\n%s%s", strings.Join(args, " "), got.stdout, got.stderr)
			before = kept()
		}
	}
}

// file is what stands in a file, and which files stand beside it.
func (s *stack) file() string {
	s.t.Helper()
	path := s.env["LEADSTREAM_TOKEN_FILE"]
	data, err := os.ReadFile(path)
	if err != nil {
		s.t.Fatal(err)
	}
	beside, err := os.ReadDir(strings.TrimSuffix(path, "token"))
	if err != nil {
		s.t.Fatal(err)
	}
	kept := string(data)
	for _, f := range beside {
		kept += " " + f.Name()
	}
	return kept
}

// TestCheckRenewsNoToken: LinkedIn may give another refresh token with a
// renewal. What takes an access token is then not checked, and not failed.
func TestCheckRenewsNoToken(t *testing.T) {
	t.Parallel()
	s := newStack(t, linkedinsim.Config{Organizations: 1, Events: 1, Forms: 1, Leads: 5, Seed: 1})
	s.sim.ExpireTokens()
	s.look(ready, s.file)
	code, findings := s.check(ready)
	token, api := find(t, findings, "linkedin token"), find(t, findings, "linkedin API")
	if code != exitDone || token.Result != check.Warn || !strings.Contains(token.Text, "expired") || !strings.Contains(token.Todo, "leadstream forms") {
		t.Errorf("exit code %d, %+v", code, token)
	}
	if api.Result != check.Warn || !strings.Contains(api.Text, "not checked") || !strings.Contains(api.Todo, "leadstream forms") {
		t.Errorf("%+v", api)
	}
	if got := s.run(t.Context(), nil, "check", "--probe"); got.code != exitUnreachable || !strings.Contains(got.stderr, "leadstream forms") {
		t.Errorf("check --probe: exit code %d, %q", got.code, got.stderr)
	}
	if got := s.run(t.Context(), nil, "auth", "status"); got.code != exitDone || !strings.Contains(got.stdout, "renewed at its next use") {
		t.Errorf("auth status: exit code %d, %q", got.code, got.stdout)
	}
	before := s.file()
	if got := s.run(t.Context(), nil, "forms"); got.code != exitDone || s.file() == before {
		t.Errorf("forms renews no token: exit code %d, %q", got.code, got.stderr)
	}
	if code, findings = s.check(ready); code != exitDone || find(t, findings, "linkedin API").Result != check.Pass {
		t.Errorf("after the renewal: exit code %d, %+v", code, findings)
	}
}

// TestCheckEncryptsNoToken: a connector without the passphrase may be running
// beside it.
func TestCheckEncryptsNoToken(t *testing.T) {
	t.Parallel()
	s := newStack(t, linkedinsim.Config{Organizations: 1, Events: 1, Forms: 1, Leads: 5, Seed: 1})
	sealing := map[string]string{"LEADSTREAM_TOKEN_PASSPHRASE": secretWord + "-passphrase"}
	s.look(sealing, s.file)
	if got := s.run(t.Context(), sealing, "forms"); got.code != exitDone || !strings.HasPrefix(s.file(), "age-encryption.org/") {
		t.Errorf("forms leaves the token as it was: exit code %d, %q", got.code, got.stderr)
	}
	s.look(sealing, s.file)
}

// TestCheckLeavesTokensInKafkaAlone, also those that have expired.
func TestCheckLeavesTokensInKafkaAlone(t *testing.T) {
	t.Parallel()
	s := tokenStack(t)
	kept := func() string { // the record's key tells the renewal, the topic's end whatever else is written
		ends, err := s.cluster().Reader.Ends(t.Context(), []string{"leadstream.checkpoints"})
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(ends, s.ends(exitDone, "", "checkpoints", "list", "token/", "-o", "json").stdout)
	}
	s.look(inKafka, kept)
	s.sim.ExpireTokens()
	s.look(inKafka, kept)
	before := kept()
	if s.ends(exitDone, "", "forms"); kept() == before {
		t.Error("forms renews no token")
	}
}
