package connector

import (
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"leadstream/internal/fault"
	"leadstream/internal/lead"
)

// line is what the log is to say of an issue; nil where it has been said.
type line struct {
	message string
	fields  []zap.Field
}

const (
	// goesOn is how soon an issue that is met again after all work began anew is
	// the same one.
	goesOn = 10 * time.Minute
	// rolesWithin is how long a refusal of LinkedIn's about an organization is kept
	// out of the log: the roles are looked at meanwhile, and a missing one says more.
	rolesWithin = 15 * time.Second
	// connectionWithin is how long an error about the connection is: whoever looks
	// after that needs three minutes to believe that LinkedIn takes no token.
	connectionWithin = 4 * time.Minute
)

// say writes the newest error of an issue into the log, unless it was said, will
// be said better, or ends the program, which says it last.
func (t *Issues) say(x *issue, work string, say *line) {
	if !x.said.New(x.Err) || say == nil || x.Kind == fault.Fatal || t.worse(x) {
		return
	}
	fields := append([]zap.Field{partField(x.Part), zap.String("work", work), zap.String("error", x.Text), zap.String("todo", x.Todo)}, say.fields...)
	write := func() {
		x.logged = true
		t.log.Log(level(x.Kind), say.message, fields...)
	}
	err := x.Err
	elsewhere := func() bool {
		_, said := t.connection(err)
		return said
	}
	switch {
	case t.aboutConnection(err):
		if !elsewhere() {
			t.delay(x, connectionWithin, func() {
				if !elsewhere() {
					write()
				}
			})
		}
	case x.Kind == fault.Suspend && strings.HasPrefix(x.Part, "urn:") && !fault.Has[*accessError](err) && !x.Event:
		t.delay(x, rolesWithin, write)
	default:
		x.drop() // this says more
		write()
	}
}

func (t *Issues) aboutConnection(err error) bool {
	if t.connection == nil {
		return false
	}
	about, _ := t.connection(err)
	return about
}

// worse reports whether a worse issue of Kafka's or the registry's was said: that
// they are away explains the rest.
func (t *Issues) worse(x *issue) bool {
	if x.Kind.NeedsPerson() || x.Part != PartKafka && x.Part != PartRegistry {
		return false
	}
	return slices.ContainsFunc(t.list, func(other *issue) bool {
		return other.Part == x.Part && other.Kind.NeedsPerson() && !other.Resolved && other.logged
	})
}

// delay writes a line after a while, unless the issue is over or said better then.
func (t *Issues) delay(x *issue, wait time.Duration, write func()) {
	dropped := x.dropped
	x.pending = true
	time.AfterFunc(wait, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if x.dropped == dropped {
			x.pending = false
			write()
		}
	})
}

// partField names in the log what an issue is about.
func partField(part string) zap.Field {
	switch {
	case lead.Digits(part):
		return zap.String("form", part)
	case strings.HasPrefix(part, "urn:"):
		return zap.String("owner", part)
	}
	return zap.String("part", part)
}

// level is Error where a person must act, Warn where time may fix it.
func level(kind fault.Kind) zapcore.Level {
	if kind.NeedsPerson() {
		return zapcore.ErrorLevel
	}
	return zapcore.WarnLevel
}
