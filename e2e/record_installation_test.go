//go:build integration && record

package e2e

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"leadstream/internal/embedded"
	"leadstream/internal/realstack"
)

var recordInto = flag.String("into", "", "`DIRECTORY` below "+recordings+" for the recording; default the beginning of the commit")

// TestRecordAnInstallation has the release that LEADSTREAM_TEST_BINARY names make an
// installation with everything in it that an upgrade meets, kills it, and records
// what it left. What stands where is decided by what is stalled and waited for, not
// by how fast things happen.
func TestRecordAnInstallation(t *testing.T) {
	if os.Getenv("LEADSTREAM_TEST_BINARY") == "" {
		t.Fatal("LEADSTREAM_TEST_BINARY is not set: it names the binary of the release to record")
	}
	s := newScenario(t)
	s.makeLinkedIn()
	s.small(inTopic)
	s.small(inPlain)
	s.firstDays()
	s.suspension()
	s.replayOfMissing()
	s.outage()
	s.lastDay()
	r := s.record()
	dir := *recordInto
	if dir == "" {
		dir = r.Release[:7]
	}
	dir = filepath.Join(recordings, dir)
	if err := r.save(dir); err != nil {
		t.Fatal(err)
	}
	t.Logf("recorded in %s: release %s, %d topics with %d lines, %d schemas", dir, r.Release, len(r.Topics), len(r.Records), len(r.Schemas))
}

// scenario makes the installations.
type scenario struct {
	t       *testing.T
	logs    string // directory
	start   time.Time
	direct  *linkedin // without the proxy
	proxy   *proxy
	made    []controlLine // requests that made LinkedIn's world, but for its leads
	all     []*world
	revised map[string]int // how often a form was
	*world                 // the installation called whole
	gone    []submission   // deleted by hand after the first days
	left    time.Time
}

const thirtyYears = "262800h"

func newScenario(t *testing.T) *scenario {
	s := &scenario{t: t, logs: logDirectory(t), start: time.Now(), revised: map[string]int{}}
	s.direct = startLinkedIn(t, s.logs, false, "--organizations", "0", "--events", "0", "--forms", "0", "--leads", "0")
	// Tokens that outlive the recording: an encrypted one cannot be shifted.
	s.direct.post("/sim/switches", object{"accessLife": thirtyYears, "refreshLife": thirtyYears})
	s.proxy = newProxy(t, s.direct.url)
	s.world = s.installation(whole)
	s.settings["LEADSTREAM_KAFKA_BROKERS"] = stack.wires[wireOfKills].addr()
	return s
}

func (s *scenario) installation(name string) *world {
	through := *s.direct
	through.url = s.proxy.URL
	w := installation(s.t, s.logs, name, stack.kafka.Addr(realstack.PLAINTEXT), stack.registry.URL(), &through)
	w.seen = follow(s.t, w.brokers, w.registry, w.prefix)
	s.all = append(s.all, w)
	return w
}

// small makes one of the small installations: its backfill, and a kill.
func (s *scenario) small(name string) {
	w := s.installation(name)
	w.consent()
	c := w.runAs(name)
	s.arrived(w, func(l *submission) bool { return l.FormID == seminar })
	c.kill()
}

// firstDays: Alpenblick's backfill is done, Nordwind's half; live leads, late ones,
// dead letters, a member who registers again and a form that changes. It ends with a
// kill, so that the topics hold a transaction that was aborted.
func (s *scenario) firstDays() {
	s.register(s.subject(webinar), `"string"`)
	// Slices are of 1, 1, 4, 4, 16, 16, 64 and 64 days while they hold little; the last
	// of these begins 259 days ago. It is stalled until the end.
	backfill := s.proxy.stall(s.t, nordwind, s.ago(260), s.ago(258))
	s.consent()
	c := s.run()
	c.says(60*time.Second, "backlog range done", alpenblick)
	c.says(30*time.Second, "form suspended", webinar)
	backfill.await()
	s.arrived(s.world, func(l *submission) bool { return l.FormID == conference || l.FormID == workshop })

	live := s.submit(conference, 0, 5, time.Now(), time.Now())
	s.submit(survey, 0, 3, time.Now(), time.Now())
	s.submit(webinar, 0, 2, time.Now(), time.Now())
	s.submit(seminar, 0, 2, time.Now(), time.Now())
	s.lead(object{"form": conference, "malformed": "no_form"}, object{"form": conference, "malformed": "no_time"})
	s.lead(object{"form": conference, "count": 3, "visibleAfter": "3s"})
	s.arrived(s.world, func(l *submission) bool { return l.FormID == conference || l.FormID == survey })
	s.lead(object{"form": conference, "id": live[0].ID})
	s.changed(conference)
	s.submit(conference, 3, 3, time.Now(), time.Now())
	s.arrived(s.world, func(l *submission) bool { return l.FormID == conference })
	c.reaches("leadstream_dead_letters_total", 2)
	s.cut(c)
	s.gone = append(s.gone, live[1], s.nearest(conference, 312))
}

// suspension: somebody removes leads of the workshop from its topic, and
// registers a schema of their own under its subject, so that the form's next version
// cannot be. Deletions are carried out.
func (s *scenario) suspension() {
	s.topic(whole+".deletions", kafka.ConfigEntry{ConfigName: "cleanup.policy", ConfigValue: "compact"})
	s.deletions(s.gone...)
	topic := s.prefix + workshop
	for partition, end := range s.offsets(topic) {
		if err := embedded.DeleteRecords(s.t.Context(), s.brokers, topic, partition, end/2); err != nil {
			s.t.Fatal(err)
		}
	}
	s.compatibility(s.subject(workshop), "NONE")
	s.register(s.subject(workshop), `"string"`)
	s.compatibility(s.subject(workshop), "BACKWARD_TRANSITIVE")
	s.changed(workshop)

	c := s.run()
	c.says(60*time.Second, "form suspended", workshop)
	c.reaches("leadstream_deletions_total", float64(len(s.gone)))
	s.stop(c)
}

// replayOfMissing: a replay asks for leads of the workshop, which is suspended.
func (s *scenario) replayOfMissing() {
	c := s.run("--replay-from", "210d", "--replay-to", "140d", "--replay-mode", "missing", "--replay-id", missed)
	c.says(60*time.Second, `"replay done"`, missed)
	s.stop(c)
}

// outage: three hours in which nothing ran, and more leads than one poll takes. The
// position is put back by hand, since nobody waits three hours for a recording.
func (s *scenario) outage() {
	key := "source/urn:li:organization:" + alpenblick + "/EVENT"
	var rows []struct{ Value object }
	listed := s.command("checkpoints", "list", "-o", "json", key)
	if err := json.Unmarshal([]byte(listed.results()), &rows); err != nil || len(rows) != 1 {
		s.t.Fatalf("checkpoints list gives %q (%v)", listed.results(), err)
	}
	value, then := rows[0].Value, time.Now().UTC().Add(-3*time.Hour).Truncate(time.Millisecond)
	value["live"] = then
	for _, run := range value["lookback"].([]any) {
		run.(object)["last"] = then
	}
	if set := s.command("checkpoints", "set", key, text(value)); set.cmd.ProcessState.ExitCode() != 0 {
		s.t.Fatalf("checkpoints set: %s", set.text())
	}
	hours := func(h float64) time.Time { return time.Now().Add(-time.Duration(h * float64(time.Hour))) }
	s.submit(conference, 0, 6, hours(3.5), hours(2.8))
	from, specs := hours(2), make([]object, 4100)
	for i := range specs {
		specs[i] = object{"form": survey, "id": fmt.Sprintf("%08d-0000-4000-8000-000000000000-6", i), "submittedAt": from.Add(time.Duration(i) * 500 * time.Millisecond).UnixMilli()}
	}
	s.lead(specs...)
	// A consumer's tombstone, of a lead that LinkedIn still has.
	gone := s.nearest(seminar, 320)
	s.produce(s.prefix+seminar, s.seen.partition(gone.ID), kafka.Record{Key: kafka.NewBytes([]byte(gone.ID))})
}

// lastDay: the outage is half caught up with and a replay of everything half done,
// when the process is killed in the middle of a transaction. Nothing has carried out
// the deletions yet that were recorded meanwhile.
func (s *scenario) lastDay() {
	catchUp := s.proxy.stall(s.t, alpenblick, time.Now().Add(-3*time.Hour), time.Now().Add(-time.Hour))
	replays := []*stall{ // its slices are of 1, 1, 4, 4, 16 and 16 days
		s.proxy.stall(s.t, alpenblick, s.ago(335), s.ago(333)),
		s.proxy.stall(s.t, nordwind, s.ago(335), s.ago(333)),
	}
	c := s.run(replayed...)
	catchUp.await()
	select { // the replay takes one source after the other
	case <-replays[0].met:
	case <-replays[1].met:
	case <-time.After(30 * time.Second):
		s.t.Fatal("the replay did not come to what is stalled")
	}
	s.replayStands()
	firstHalf := time.Now().Add(-150 * time.Minute)
	s.arrived(s.world, func(l *submission) bool {
		return l.FormID == conference && time.UnixMilli(l.SubmittedAt).Before(firstHalf)
	})
	live := s.submit(conference, 0, 4, time.Now(), time.Now())
	s.lead(object{"form": conference, "count": 3, "age": "20s", "visibleAfter": "1h"})
	s.arrived(s.world, func(l *submission) bool {
		return slices.ContainsFunc(live, func(x submission) bool { return x.ID == l.ID })
	})
	s.deletions(live[0], s.nearest(seminar, 100), s.nearest(webinar, 50), s.nearest(conference, 305))
	s.cut(c)
	s.left = time.Now()
}

// replayStands waits until what comes before the slice that is stalled was
// replayed, of whichever organization was first.
func (s *scenario) replayStands() {
	s.t.Helper()
	eventually(s.t, 30*time.Second, func() error {
		marked := s.seen.marked(everyone)
		for _, owner := range []string{alpenblick, nordwind} {
			missing := 0
			for _, l := range s.direct.ledger() {
				before := l.SubmittedAt < s.ago(335).UnixMilli()
				if before && l.Owner == "urn:li:organization:"+owner && marked[l.identity()] == 0 {
					missing++
				}
			}
			if missing == 0 {
				return nil
			}
		}
		return fmt.Errorf("%d leads were replayed", len(marked))
	})
}

// cut kills a process between the records of a transaction and its end.
func (s *scenario) cut(c *connector) {
	s.t.Helper()
	sprung := make(chan struct{})
	stack.wires[wireOfKills].arm(trap{api: apiEndTxn, least: leadsOfATransaction, fire: func() {
		c.kill()
		close(sprung)
	}})
	s.lead(object{"form": conference, "count": 60})
	select {
	case <-sprung:
	case <-time.After(30 * time.Second):
		s.t.Fatal("no transaction with so many leads came to its end")
	}
}

// leadsOfATransaction is more than a transaction without leads writes, in bytes, and
// less than one with the leads that cut has submitted.
const leadsOfATransaction = 4 << 10

// arrived waits until consumers have seen all leads of which wanted is true.
func (s *scenario) arrived(w *world, wanted func(*submission) bool) {
	s.t.Helper()
	eventually(s.t, 60*time.Second, func() error {
		for _, l := range s.direct.ledger() {
			if wanted(&l) && !slices.Contains(deadly, l.Malformed) && !w.seen.saw(l.identity()) {
				return fmt.Errorf("%s did not arrive", describe(&l))
			}
		}
		return nil
	})
}

// reaches waits until a metric is that large.
func (c *connector) reaches(metric string, want float64) {
	c.t.Helper()
	eventually(c.t, 30*time.Second, func() error {
		if v, err := c.metric(metric); err != nil || v < want {
			return fmt.Errorf("%s is %v (%v), want %v", metric, v, err, want)
		}
		return nil
	})
}

// stop ends a process in peace.
func (s *scenario) stop(c *connector) {
	s.t.Helper()
	if code, _ := c.stop(); code != 0 {
		s.t.Fatalf("%s ended with %d", c.name, code)
	}
}

// topic makes a topic of one partition.
func (s *scenario) topic(name string, configs ...kafka.ConfigEntry) {
	s.t.Helper()
	res, err := admin(s.brokers).CreateTopics(s.t.Context(), &kafka.CreateTopicsRequest{
		Topics: []kafka.TopicConfig{{Topic: name, NumPartitions: 1, ReplicationFactor: 1, ConfigEntries: configs}},
	})
	if err == nil {
		err = res.Errors[name]
	}
	if err != nil {
		s.t.Fatalf("creating %s: %v", name, err)
	}
}

// deletions are entries by hand, as docs/records.md has them.
func (s *scenario) deletions(leads ...submission) {
	s.t.Helper()
	var entries []kafka.Record
	for _, l := range leads {
		entries = append(entries, kafka.Record{
			Key: kafka.NewBytes([]byte(l.ID)), Value: kafka.NewBytes([]byte(stamp(time.Now().UnixMilli()))),
			Headers: []kafka.Header{{Key: "leadstream.form", Value: []byte(l.FormID)}},
		})
	}
	s.produce(whole+".deletions", 0, entries...)
}

// produce writes records outside any transaction.
func (s *scenario) produce(topic string, partition int, records ...kafka.Record) {
	s.t.Helper()
	res, err := admin(s.brokers).Produce(s.t.Context(), &kafka.ProduceRequest{
		Topic: topic, Partition: partition, RequiredAcks: kafka.RequireAll, Records: kafka.NewRecordReader(records...),
	})
	if err == nil {
		err = res.Error
	}
	if err != nil {
		s.t.Fatalf("writing to %s: %v", topic, err)
	}
}

// release is the commit of the binary.
func (s *scenario) release() string {
	s.t.Helper()
	out, err := exec.Command(stack.binary, "version", "-o", "json").Output()
	var v struct {
		Commit   string
		Modified bool
	}
	if err == nil {
		err = json.Unmarshal(out, &v)
	}
	if err != nil || v.Modified || len(v.Commit) < 7 {
		s.t.Fatalf("%s does not tell the commit it was built from, or was built from something else: %s (%v)", stack.binary, out, err)
	}
	return v.Commit
}
