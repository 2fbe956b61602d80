package connector

// news tells whether something was not said before in this process, by what it is
// about: who takes the work over once more need not say again how everything stands.
// An empty text says that it is over.
func (c *Connector) news(about, text string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.said[about] == text {
		return false
	}
	if text == "" {
		delete(c.said, about)
	} else {
		c.said[about] = text
	}
	return true
}
