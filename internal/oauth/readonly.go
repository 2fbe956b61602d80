package oauth

import (
	"errors"
	"path/filepath"
)

// ErrNotRenewed: the access token is of no use any more, and the Session is one
// that only looks (Options.ReadOnly). LinkedIn may give another refresh token
// with a renewal, so that one which is not stored could lose the connection.
var ErrNotRenewed = errors.New("the access token has to be renewed first, and what changes nothing renews none")

// readOnlyStore is a Store whose Load puts right how the token is kept, unless it was
// told only to look.
type readOnlyStore interface {
	setReadOnly()
	// saveWouldFail is why a Save would not work, as far as can be told without trying.
	saveWouldFail() error
}

// setReadOnly has Load encrypt no plain file.
func (s *FileStore) setReadOnly() { s.readOnly = true }

func (s *FileStore) saveWouldFail() error {
	if err := writable(filepath.Dir(realPath(s.path))); err != nil {
		return s.fileError(err)
	}
	return nil
}

// setReadOnly has Load write nothing again that is gone.
func (s *RecordStore) setReadOnly() { s.readOnly = true }

func (s *RecordStore) saveWouldFail() error { return nil } // it takes a record to find out
