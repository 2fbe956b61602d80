//go:build integration

package e2e

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
)

// intruder is a plain pair of tokens of another account, newer than any consent.
func intruder(t testing.TB) (key string, plain []byte) {
	t.Helper()
	at := time.Now().UTC().Add(time.Hour).Truncate(time.Millisecond)
	plain, err := json.Marshal(object{
		"version": 1, "access_token": "intruder-access", "refresh_token": "intruder-refresh", "scopes": []string{"r_events"},
		"access_expires_at": at.AddDate(0, 2, 0), "refresh_expires_at": at.AddDate(1, 0, 0), "authorized_at": at, "obtained_at": at,
	})
	if err != nil {
		t.Fatal(err)
	}
	const stamp = "2006-01-02T15:04:05.000Z"
	return "token/" + at.Format(stamp) + "/" + at.Format(stamp), plain
}

// write writes a record to the checkpoint topic as anybody may who has the permission.
func (w *world) write(key string, value []byte) error {
	writer := &kafka.Writer{Addr: kafka.TCP(w.brokers), Topic: w.name + ".checkpoints", BatchTimeout: time.Millisecond, RequiredAcks: kafka.RequireAll}
	err := writer.WriteMessages(w.t.Context(), kafka.Message{Key: []byte(key), Value: value})
	return errors.Join(err, writer.Close())
}

// Whoever may write to the checkpoint topic, and does not know the passphrase,
// puts nobody on another account: no process that runs, none that starts, no command.
func TestWhoWritesToTheCheckpointTopicDoesNotChangeTheAccount(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{simulate: small, noConsent: true, settings: inKafka})
	w.consent()
	c := w.atWork()
	key, plain := intruder(t)
	wrapped, err := json.Marshal(object{"version": 1, "sealed": base64.StdEncoding.EncodeToString(plain)})
	if err != nil {
		t.Fatal(err)
	}
	for i, value := range [][]byte{plain, wrapped} {
		eventually(t, 20*time.Second, func() error { return w.write(key, value) }) // the writer learns of new topics now and then
		eventually(t, 25*time.Second, func() error {
			if n := strings.Count(c.text(), "is passed over"); n != i+1 {
				return fmt.Errorf("it was said %d times, want %d", n, i+1)
			}
			return nil
		})
		c.connected(time.Second)
		if p := w.command("auth", "status"); p.cmd.ProcessState.ExitCode() != 0 {
			t.Errorf("auth status: exit %d: %s%s", p.cmd.ProcessState.ExitCode(), p.results(), p.text())
		}
	}
	c.kill()
	w.linkedin.submit(object{"count": 10})
	c = w.run()
	c.says(30*time.Second, `"level":"error"`, "is passed over", key[len("token/"):], "who may write to that topic")
	w.recovered(c)
	if c.complaints("intruder") != nil {
		t.Error("the log tells of what was planted")
	}
	w.linkedin.goWrong(object{"kind": "expire_token"}) // the renewed pair takes the other away
	c.says(15*time.Second, "the LinkedIn access token was renewed")
	w.recovered(c)
	if code, _ := c.stop(); code != 0 {
		t.Errorf("exit %d, want 0", code)
	}
	w.linkedin.submit(object{"count": 5})
	c = w.run()
	w.recovered(c)
	if n := strings.Count(c.text(), "is passed over"); n != 0 {
		t.Errorf("after a renewal it is still there: %d lines", n)
	}
}

// LinkedIn takes a refresh token back when it gives the next one. While that could
// not be stored LinkedIn is not asked, and the consent outlasts a crash meanwhile.
func TestAConsentOutlastsACheckpointTopicThatTakesNothing(t *testing.T) {
	t.Parallel()
	settings := map[string]string{
		"LEADSTREAM_KAFKA_BROKERS": stack.kafka.Addr("SASL"), "LEADSTREAM_KAFKA_SASL_MECHANISM": "PLAIN",
		"LEADSTREAM_KAFKA_SASL_USERNAME": limited, "LEADSTREAM_KAFKA_SASL_PASSWORD": limitedPassword,
	}
	maps.Copy(settings, inKafka)
	w := newWorld(t, options{simulate: small, noConsent: true, settings: settings})
	for _, operation := range []kafka.ACLOperationType{kafka.ACLOperationTypeRead, kafka.ACLOperationTypeWrite, kafka.ACLOperationTypeDescribe, kafka.ACLOperationTypeCreate, kafka.ACLOperationTypeDescribeConfigs} {
		w.grant(kafka.ResourceTypeTopic, w.name, kafka.PatternTypePrefixed, operation)
	}
	w.grant(kafka.ResourceTypeGroup, w.name, kafka.PatternTypeLiteral, kafka.ACLOperationTypeRead)
	w.grant(kafka.ResourceTypeTransactionalID, w.name, kafka.PatternTypeLiteral, kafka.ACLOperationTypeWrite)
	w.linkedin.post("/sim/switches", object{"refreshAnswer": "rotated"})
	shown := func(p *program) int { return strings.Count(p.results(), "Open this address") } // by all runs so far
	eventually(t, 30*time.Second, func() error {                                             // until every broker knows what was granted
		if p := w.command("auth", "login", "--paste"); shown(p) == 0 {
			return fmt.Errorf("auth login: %s", lastLines(p.text(), 1))
		}
		return nil
	})
	w.consent()
	c := w.atWork()
	w.forbidWriting()
	c.says(30*time.Second, "--operation Write --topic "+w.name+".checkpoints") // by a commit: it is known everywhere
	w.linkedin.goWrong(object{"kind": "expire_token"})
	w.linkedin.submit(object{"count": 10})
	c.says(30*time.Second, "what LinkedIn gives could not be stored, so that it is not asked", w.name+".checkpoints")
	p := w.command("auth", "login", "--paste")
	if code := p.cmd.ProcessState.ExitCode(); code != 2 || shown(p) != 1 {
		t.Errorf("auth login: exit %d, want 2 before any consent: %s%s", code, p.results(), p.text())
	}
	c.kill()
	w.allowWriting()
	c = w.run()
	w.recovered(c)
	if strings.Contains(c.text(), "the connection to LinkedIn needs a person") {
		t.Error("a person was asked for")
	}
}

// forbidWriting takes the permission to write to the checkpoint topic from the limited user.
func (w *world) forbidWriting() {
	w.t.Helper()
	res, err := admin(w.brokers).CreateACLs(w.t.Context(), &kafka.CreateACLsRequest{ACLs: []kafka.ACLEntry{{
		ResourceType: kafka.ResourceTypeTopic, ResourceName: w.name + ".checkpoints", ResourcePatternType: kafka.PatternTypeLiteral,
		Principal: "User:" + limited, Host: "*", Operation: kafka.ACLOperationTypeWrite, PermissionType: kafka.ACLPermissionTypeDeny,
	}}})
	if err == nil {
		err = errors.Join(res.Errors...)
	}
	must(w.t, err)
}

// allowWriting undoes forbidWriting.
func (w *world) allowWriting() {
	w.t.Helper()
	res, err := admin(w.brokers).DeleteACLs(w.t.Context(), &kafka.DeleteACLsRequest{Filters: []kafka.DeleteACLsFilter{{
		ResourceTypeFilter: kafka.ResourceTypeTopic, ResourceNameFilter: w.name + ".checkpoints", ResourcePatternTypeFilter: kafka.PatternTypeLiteral,
		PrincipalFilter: "User:" + limited, Operation: kafka.ACLOperationTypeWrite, PermissionType: kafka.ACLPermissionTypeDeny,
	}}})
	if err == nil && res.Results[0].Error != nil {
		err = res.Results[0].Error
	}
	must(w.t, err)
}

// The same with a file on a disk that has become full, or is only read: told at the
// start and on every side, and over as soon as the disk is well.
func TestAConsentOutlastsADiskThatTakesNothing(t *testing.T) {
	t.Parallel()
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=256k,mode=700"); err != nil {
		t.Fatalf("a disk of its own cannot be mounted, which takes root: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, 0); err != nil {
			t.Error(err)
		}
	})
	token := filepath.Join(disk, "token")
	w := newWorld(t, options{simulate: small, noConsent: true, settings: map[string]string{"LEADSTREAM_TOKEN_FILE": token}})
	w.linkedin.post("/sim/switches", object{"refreshAnswer": "rotated"})
	w.consent()
	filler := filepath.Join(disk, "filler")
	remount := func(flags uintptr) {
		if err := syscall.Mount("tmpfs", disk, "tmpfs", syscall.MS_REMOUNT|flags, ""); err != nil {
			t.Fatal(err)
		}
	}
	for _, o := range []struct{ spoil, repair func() }{
		{func() { must(t, os.WriteFile(filler, make([]byte, 230<<10), 0o600)) }, func() { must(t, os.Remove(filler)) }},
		{func() { remount(syscall.MS_RDONLY) }, func() { remount(0) }},
	} {
		c := w.atWork()
		o.spoil()
		c.says(20*time.Second, `"level":"error"`, "could not be stored where they are kept", token)
		w.linkedin.goWrong(object{"kind": "expire_token"})
		w.linkedin.submit(object{"count": 5})
		c.needsPerson(30*time.Second, "a renewed one could not be stored", "where the tokens are kept")
		p := w.command("auth", "status")
		if code := p.cmd.ProcessState.ExitCode(); code != 3 || !strings.Contains(p.results(), "could not be stored") {
			t.Errorf("auth status: exit %d, want 3: %s%s", code, p.results(), p.text())
		}
		p = w.command("auth", "login", "--paste")
		if code := p.cmd.ProcessState.ExitCode(); code != 2 || strings.Contains(p.results(), "Open this address") || !strings.Contains(p.text(), token) {
			t.Errorf("auth login: exit %d, want 2 before any consent: %s%s", code, p.results(), p.text())
		}
		res, err := browser(t).PostForm(atLocalhost(c)+"/oauth/login", nil)
		if err != nil {
			t.Fatal(err)
		}
		if text := page(t, res); res.StatusCode != http.StatusForbidden || !strings.Contains(text, "could not be stored") {
			t.Errorf("Connect on the page = %s: %s", res.Status, text)
		}
		c.kill()
		o.repair()
		c = w.run()
		w.recovered(c)
		if strings.Contains(c.text(), "needs a person") {
			t.Error("a person was asked for")
		}
		if code, _ := c.stop(); code != 0 {
			t.Errorf("exit %d, want 0", code)
		}
	}
}

// page is the text of an answer, whatever its status.
func page(t testing.TB, res *http.Response) string {
	t.Helper()
	text, err := io.ReadAll(res.Body)
	must(t, errors.Join(err, res.Body.Close()))
	return string(text)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// auth status says what the connector has found out.
func TestARefusedRenewalIsKnownToEveryCommand(t *testing.T) {
	t.Parallel()
	for name, settings := range map[string]map[string]string{"file": nil, "kafka": inKafka} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, options{simulate: small, noConsent: true, settings: settings})
			w.consent()
			c := w.atWork()
			w.linkedin.bothTokens("expire_token")
			c.needsPerson(20*time.Second, "LinkedIn refused to refresh the token", "Reconnect LinkedIn")
			p := w.command("auth", "status")
			if code := p.cmd.ProcessState.ExitCode(); code != 3 || !strings.Contains(p.results(), "LinkedIn refused to refresh the token") {
				t.Errorf("auth status: exit %d, want 3: %s%s", code, p.results(), p.text())
			}
			w.consent()
			if p := w.command("auth", "status"); p.cmd.ProcessState.ExitCode() != 0 {
				t.Errorf("auth status after a new consent: exit %d, want 0: %s", p.cmd.ProcessState.ExitCode(), p.results())
			}
			w.recovered(c)
		})
	}
}

// Two names with one LinkedIn app and one redirect URL, which the other serves: a
// consent ends where it was begun or nowhere.
func TestConsentsOfTwoNamesAreNotMixed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{simulate: small, noConsent: true})
	listen := freeAddress(t)
	here := w.runAt("here", listen, nil)
	here.awaitActive(30 * time.Second)
	other := *w
	other.name += "-other"
	other.settings = map[string]string{"LEADSTREAM_TOKEN_FILE": filepath.Join(w.dir, "other-token")}
	// The other begins, in a terminal; its redirect URL is served by the first.
	p, address := other.login(listen, strings.NewReader(""), "--no-browser")
	answer := allow(t, address)
	res, err := http.Get(answer.String())
	if err != nil {
		t.Fatal(err)
	}
	if text := page(t, res); res.StatusCode != http.StatusUnauthorized || !strings.Contains(text, other.name) || !strings.Contains(text, "auth login") {
		t.Errorf("the callback of the other = %s: %s", res.Status, text)
	}
	here.says(5*time.Second, `"level":"warn"`, "belongs to no consent begun here", other.name)
	p.kill()
	for _, file := range []string{"token", "other-token"} {
		if _, err := os.Stat(filepath.Join(w.dir, file)); !os.IsNotExist(err) {
			t.Errorf("%s: %v; want nothing stored", file, err)
		}
	}
	w.reconnect(here) // its own goes on as ever
	w.recovered(here)
}
