//go:build integration

package e2e

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// leads are the records that are no tombstones.
func (g reading) leads() []record {
	return slices.DeleteFunc(slices.Clone(g.records), func(r record) bool { return r.Value == nil })
}

// recorded is how many leads a topic held for consumers when it was recorded.
func (s *restored) recorded(topic string) int {
	n := 0
	for _, line := range s.committed {
		if line.Topic == topic && line.Value != nil {
			n++
		}
	}
	return n
}

// fate is what consumers should find of a lead in the end.
type fate struct {
	plain, marked int  // records without and with the header of the replay in mode all
	deleted       bool // nothing new, and a tombstone last where there was something
}

// fateOf says what should become of a lead for an installation.
func (s *restored) fateOf(w *world, l *submission) fate {
	switch {
	case slices.Contains(deadly, l.Malformed), w.name != whole && l.FormID != seminar:
		return fate{}
	case w.name == whole && s.deleted[l.ID]:
		return fate{deleted: true}
	}
	f := fate{plain: 1}
	if at := time.UnixMilli(l.SubmittedAt); w.name == whole && !l.Superseded && !at.Before(s.replay.From) && at.Before(s.replay.To) {
		f.marked = 1
	}
	return f
}

// found is what there is of a lead.
type found struct {
	plain, marked int
	fresh         int // of both, behind what was recorded
}

// tally counts the records of each lead, and gives the last record of each key in
// its topic.
func (s *restored) tally(records []record) (count map[identity]found, last map[string]*record) {
	count, last = map[identity]found{}, map[string]*record{}
	for i := range records {
		r := &records[i]
		last[r.Topic+" "+r.Key] = r
		if r.Value == nil {
			continue
		}
		f := count[r.identity()]
		if r.header("leadstream.replay") == everyone {
			f.marked++
		} else {
			f.plain++
		}
		if ends := s.r.ends(r.Topic); ends == nil || r.Offset >= ends[r.Partition] {
			f.fresh++
		}
		count[r.identity()] = f
	}
	return count, last
}

// arrives waits until the leads that are wanted met their fate.
func (s *restored) arrives(w *world, wanted func(*submission) bool) {
	s.t.Helper()
	eventually(s.t, 90*time.Second, func() error {
		records, err := w.seen.records()
		if err != nil {
			s.t.Fatal(err)
		}
		count, last := s.tally(records)
		missing, first := 0, error(nil)
		for _, l := range s.linkedin.ledger() {
			want, got := s.fateOf(w, &l), count[l.identity()]
			end := last[w.prefix+l.FormID+" "+l.ID]
			if !wanted(&l) || got.plain >= want.plain && got.marked >= want.marked && (!want.deleted || end == nil || end.Value == nil) {
				continue
			}
			missing++
			if first == nil {
				first = fmt.Errorf("%s: %+v, want %+v", describe(&l), got, want)
			}
		}
		if missing > 0 {
			return fmt.Errorf("%s: %d leads did not meet their fate: %w", w.name, missing, first)
		}
		return nil
	})
}

// records are those seen so far.
func (f *continuous) records() ([]record, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.seen.records), f.avail
}

// compare reads the topics from the beginning and holds every record, those of the
// earlier release too, to what was submitted. It gives their number.
func (s *restored) compare(w *world) int {
	s.t.Helper()
	read := consume(s.t, w.brokers, w.registry, w.prefix)
	c := comparison{name: w.name, prefix: w.prefix, report: s.t.Errorf, schemas: map[int]*avroSchema{}, hidden: map[string]map[string]string{}}
	for id, text := range read.schemas {
		schema, err := parseAvro(text)
		if err != nil {
			s.t.Fatalf("schema %d: %v", id, err)
		}
		c.schemas[id] = schema
	}
	ledger := s.linkedin.ledger()
	for _, form := range forms(ledger) {
		c.hidden[form] = s.linkedin.hidden(form)
	}
	count, last := s.tally(read.records)
	made := map[identity]*submission{}
	for i := range ledger {
		l := &ledger[i]
		made[l.identity()] = l
		want, got := s.fateOf(w, l), count[l.identity()]
		switch end := last[w.prefix+l.FormID+" "+l.ID]; {
		case want.deleted && got.fresh > 0:
			c.differs("deleted", "%s was published again", describe(l))
		case want.deleted && end != nil && end.Value != nil:
			c.differs("deleted", "%s has no tombstone", describe(l))
		case want.deleted:
		case got.plain != want.plain || got.marked != want.marked:
			c.differs("number", "%s: %+v, want %+v", describe(l), got, want)
		}
	}
	for i := range read.records {
		r := &read.records[i]
		switch l := made[r.identity()]; {
		case r.Value == nil:
		case l == nil:
			c.differs("strange", "%s offset %d: key %s was never submitted", r.Topic, r.Offset, r.Key)
		default:
			c.lead(r, l)
		}
	}
	s.t.Logf("%s: submitted %d, records %d, of them recorded %d", w.name, len(ledger), len(read.records), len(read.records)-s.fresh(read.records))
	return len(read.records)
}

// fresh is how many records stand behind what was recorded.
func (s *restored) fresh(records []record) int {
	n := 0
	for i := range records {
		if ends := s.r.ends(records[i].Topic); ends == nil || records[i].Offset >= ends[records[i].Partition] {
			n++
		}
	}
	return n
}

// nothingIsLeft looks at the progress: the backfill, the outage, the replay, the
// deletions and the deferred leads are done with.
func (s *restored) nothingIsLeft(w *world) {
	s.t.Helper()
	listed := w.command("checkpoints", "list", "-o", "json")
	var rows []struct {
		Key   string
		Value struct {
			Live    time.Time
			Backlog []any
			To      time.Time
			Next    json.RawMessage
		}
	}
	if err := json.Unmarshal([]byte(listed.results()), &rows); err != nil {
		s.t.Fatalf("checkpoints list: %v: %s", err, listed.text())
	}
	sources, replays := 0, 0
	for _, row := range rows {
		kind, _, _ := strings.Cut(row.Key, "/")
		switch kind {
		case "debt":
			s.t.Errorf("%s is still there", row.Key)
		case "source":
			sources++
			if len(row.Value.Backlog) > 0 || time.Since(row.Value.Live) > outageLength {
				s.t.Errorf("%s is at %s with the backlog %v", row.Key, row.Value.Live, row.Value.Backlog)
			}
		case "replay":
			replays++
			var next map[string]time.Time
			if err := json.Unmarshal(row.Value.Next, &next); err != nil {
				s.t.Fatal(err)
			}
			for source, at := range next {
				if at.Before(row.Value.To) {
					s.t.Errorf("%s is at %s for %s, want %s", row.Key, at, source, row.Value.To)
				}
			}
		case "deletions":
			if got, want := strings.Join(strings.Fields(string(row.Value.Next)), ""), text(s.r.ends(whole+".deletions")); got != want {
				s.t.Errorf("deletions are carried out up to %s, want %s", got, want)
			}
		}
	}
	if sources != 2 || replays != 2 {
		s.t.Errorf("there is the progress of %d sources and %d replays, want 2 and 2", sources, replays)
	}
}

// columnsAreTheSame compares each recorded schema with the newest of its subject: the
// same columns stand in it for the same questions, in the same order. Nothing was
// registered but for the forms that could not be before.
func (s *restored) columnsAreTheSame(w *world) {
	s.t.Helper()
	recorded := map[string]int{}
	for _, line := range s.r.Schemas {
		if !strings.HasPrefix(line.Subject, w.prefix) {
			continue
		}
		recorded[line.Subject] = max(recorded[line.Subject], line.Version)
		before, err := parseAvro(json.RawMessage(line.Schema))
		if err != nil {
			continue // somebody else's
		}
		var newest schemaLine
		w.ask("/subjects/"+line.Subject+"/versions/latest", &newest)
		now, err := parseAvro(json.RawMessage(newest.Schema))
		if err != nil || len(now.fields) < len(before.fields) {
			s.t.Errorf("the newest schema of %s has fewer columns than version %d: %s (%v)", line.Subject, line.Version, newest.Schema, err)
			continue
		}
		for i := range before.fields {
			if got, want := text(now.fields[i]), text(before.fields[i]); got != want {
				s.t.Errorf("column %d of %s is %s, was %s", i, line.Subject, got, want)
			}
		}
	}
	for subject, version := range recorded {
		recovered := subject == w.subject(webinar) || subject == w.subject(workshop)
		if got := w.versions(subject); !recovered && len(got) != version {
			s.t.Errorf("%s has the versions %v, want %d of them", subject, got, version)
		}
	}
}

// deadLettersAreTheSame: those that were recorded, once, although LinkedIn has shown
// their elements again.
func (s *restored) deadLettersAreTheSame(w *world) {
	s.t.Helper()
	topic := w.name + ".deadletters"
	var want, got []string
	for _, line := range s.committed {
		if line.Topic == topic {
			want = append(want, string(line.Key))
		}
	}
	for _, r := range consume(s.t, w.brokers, w.registry, topic, "--raw").records {
		got = append(got, r.Key)
	}
	if len(want) != 2 || !slices.Equal(got, want) {
		s.t.Errorf("dead letters are %q, want the recorded %q", got, want)
	}
}

// know takes out of the recording what the comparison needs: the records that
// consumers saw, which leads were deleted, and what the replay is of.
func (s *restored) know() error {
	if err := s.r.complete(); err != nil {
		return err
	}
	s.committed, _ = s.r.split()
	s.deleted = map[string]bool{}
	for _, line := range s.committed {
		tombstone := kind(line.Topic) == "" && strings.HasPrefix(line.Topic, whole+".") && line.Value == nil
		if tombstone || line.Topic == whole+".deletions" {
			s.deleted[string(line.Key)] = true
		}
	}
	return json.Unmarshal([]byte(s.r.progress(whole)["replay/"+everyone]), &s.replay)
}
