package checkpoint

import (
	"reflect"
	"testing"
	"time"
)

func TestATopicKnowsWhichSchemasItsRecordsCarry(t *testing.T) {
	later := t0.Add(time.Hour)
	topic := Topic{Topic: "linkedin.leads.7", SchemaID: 12, LastLead: t0} // of an earlier release
	topic.Published(12, 4, later, later)
	topic.Published(3, 5, later, later)
	topic.Published(3, 5, t0, later)
	want := []TopicSchema{{12, 4, time.Time{}, later, later}, {3, 5, t0, later, later}}
	if !reflect.DeepEqual(topic.Schemas, want) || topic.SchemaID != 3 {
		t.Errorf("schemas = %+v, want %+v", topic.Schemas, want)
	}
}

func TestWhatWasPublishedWithASchemaIsReplayedOnceReplaysOfAllHaveCoveredIt(t *testing.T) {
	hour := func(n int) time.Time { return t0.Add(time.Duration(n) * time.Hour) }
	done := func(from, to, created int, mode Mode) Replay {
		return Replay{From: hour(from), To: hour(to), Mode: mode, Created: hour(created), Next: map[string]time.Time{src.String(): hour(to)}}
	}
	s := TopicSchema{ID: 12, From: hour(10), To: hour(20), Last: hour(30)}
	open := done(0, 40, 31, All)
	open.Next = map[string]time.Time{src.String(): hour(5)}
	for name, test := range map[string]struct {
		replays []Replay
		owner   string
		want    bool
	}{
		"none":                          {nil, src.Owner, false},
		"one":                           {[]Replay{done(10, 21, 31, All)}, src.Owner, true},
		"to its last lead exactly":      {[]Replay{done(10, 20, 31, All)}, src.Owner, false},
		"after its first lead":          {[]Replay{done(11, 21, 31, All)}, src.Owner, false},
		"two that meet":                 {[]Replay{done(15, 21, 32, All), done(9, 15, 31, All)}, src.Owner, true},
		"two with a gap":                {[]Replay{done(16, 21, 32, All), done(9, 15, 31, All)}, src.Owner, false},
		"one within another":            {[]Replay{done(9, 21, 32, All), done(11, 12, 31, All)}, src.Owner, true},
		"before the last lead went out": {[]Replay{done(10, 21, 30, All)}, src.Owner, false},
		"of what is missing":            {[]Replay{done(10, 21, 31, Missing)}, src.Owner, false},
		"not done":                      {[]Replay{open}, src.Owner, false},
		"of another owner":              {[]Replay{done(10, 21, 31, All)}, "urn:li:organization:1", false},
		"as far back as LinkedIn goes":  {[]Replay{done(11, 21, 11+365*24, All)}, src.Owner, true},
	} {
		replays := map[string]Replay{}
		for i, r := range test.replays {
			replays[string(rune('a'+i))] = r
		}
		if got := s.Replayed(replays, test.owner); got != test.want {
			t.Errorf("%s: Replayed = %v, want %v", name, got, test.want)
		}
	}
}
