package oauth

import "errors"

// ErrNotRenewed: the access token is of no use any more, and the Session is one
// that only looks (Options.ReadOnly). LinkedIn may give another refresh token
// with a renewal, so that one which is not stored could lose the connection.
var ErrNotRenewed = errors.New("the access token has to be renewed first, and what changes nothing renews none")

// looker is a Store whose Load puts right how the token is kept, unless it was
// told only to look.
type looker interface{ lookOnly() }

// lookOnly has Load encrypt no plain file.
func (s *FileStore) lookOnly() { s.looksOnly = true }

// lookOnly has Load write nothing again that is gone.
func (s *RecordStore) lookOnly() { s.looksOnly = true }
