package connector

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"leadstream/internal/kafka"
	"leadstream/internal/lead"
)

const stubborn = "7130000000000000009"

// refuseTombstones makes the topic of another form, which refuses every record but
// the smallest, and records a deletion for it.
func (w *world) refuseTombstones(c *Connector) {
	w.t.Helper()
	name := "linkedin.leads." + stubborn
	made, err := w.cluster.Admin.CreateTopics(w.t.Context(), []kafka.TopicSpec{{Name: name, Partitions: 1, ReplicationFactor: 1,
		Configs: map[string]string{"max.message.bytes": "10"}}})
	if err != nil || made[name] != nil {
		w.t.Fatal(err, made)
	}
	n := notification(lead.Deleted, "z", w.now())
	n.Form.ID = stubborn
	if err := c.Notify(w.t.Context(), n); err != nil {
		w.t.Fatal(err)
	}
}

func TestATopicThatRefusesItsTombstoneKeepsNothingWaiting(t *testing.T) {
	w := newWorld(t).notified()
	active := w.running()
	standby := newWorldOf(w)
	at := w.now()
	w.linkedin.submit("a", at)
	if err := active.Notify(t.Context(), notification(lead.Created, "a", at)); err != nil {
		t.Fatal(err)
	}
	w.until("the lead", func() bool { return slices.Equal(ids(w.topic(formID)), []string{"a"}) })
	w.refuseTombstones(active)
	w.until("the refusal", w.logged("refuses their removal"))
	w.linkedin.submit("b", at)
	for _, n := range []lead.Notification{notification(lead.Created, "b", at), notification(lead.Deleted, "a", at.Add(time.Second))} {
		if err := standby.Notify(t.Context(), n); err != nil {
			t.Fatal(err)
		}
	}
	w.until("what the standby was told", func() bool {
		got := ids(w.topic(formID))
		slices.Sort(got)
		return slices.Equal(got, []string{"a", "a", "b"}) // the lead, its tombstone and the other
	})
	if n := w.logs.FilterMessageSnippet("refuses their removal").Len(); n != 1 {
		t.Errorf("the refusal was said %d times, want once", n)
	}
	if list := active.Issues().List(); len(list) != 1 || list[0].Resolved || !strings.Contains(list[0].Text, stubborn) {
		t.Errorf("issues = %+v, want the topic that refuses", list)
	}
	if err := w.cluster.Admin.DeleteTopics(t.Context(), []string{"linkedin.leads." + stubborn}); err != nil {
		t.Fatal(err)
	}
	w.until("the end of the issue", func() bool { return w.logged("recovered")() && active.Issues().List()[0].Resolved })
}

func TestOnceReadsTheLeadsAndThenSaysWhichTopicRefusesItsTombstones(t *testing.T) {
	w := newWorld(t).notified()
	w.opts.Backfill = 365 * 24 * time.Hour
	e := w.start() // makes the topics
	w.refuseTombstones(e.Connector)
	var want []string
	for i := range 300 {
		want = append(want, strconv.Itoa(i))
		w.linkedin.submit(strconv.Itoa(i), w.now().Add(-time.Duration(i+1)*28*time.Hour))
	}
	var refused *kafka.TopicError
	if err := w.once(); !errors.As(err, &refused) || refused.Topic != "linkedin.leads."+stubborn {
		t.Errorf("Run = %v, want the refusal of the topic", err)
	}
	w.expectIDs(formID, want...)
}
