// Package transparency makes the audit log one whose past nobody can change
// unseen, administrators included: a Merkle tree over its entries (RFC 6962,
// https://www.rfc-editor.org/rfc/rfc6962#section-2), whose leaves are the
// canonical entries, and signed checkpoints of it in the C2SP formats
// (https://c2sp.org/tlog-checkpoint, https://c2sp.org/signed-note).
//
// It promises proofs that an entry is in the log and that an earlier checkpoint
// is a prefix of a later one, and that Verify finds what was edited, deleted,
// reordered, truncated or rolled back since any checkpoint that was kept. Who
// keeps a checkpoint elsewhere need not trust this machine.
//
// The tree follows the log and can be made from it anew, but for the hashes of
// pruned entries, which are here alone.
package transparency

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"galen/fhir"
	"galen/policies/audit"
)

// Options are what a Log may be told.
type Options struct {
	Every    uint64        // entries after which a checkpoint is due; 1000 if 0
	Interval time.Duration // time after which one is due if anything is new; a minute if 0
	Copy     string        // file to which every checkpoint is appended too, on another disk; "" for none
	Random   io.Reader     // for the key
}

// Origin names the log in its checkpoints, and their key.
const Origin = "galen-audit"

// Log is the tree over one audit log. It is safe for concurrent use.
type Log struct {
	log    *audit.Log
	dir    string
	opt    Options
	signer note.Signer
	key    string

	mu     sync.Mutex
	hashes *hashFile
	size   uint64 // entries in the tree
	last   Checkpoint
}

// Checkpoint is a signed statement of what the log held.
type Checkpoint struct {
	Size uint64 // entries
	Root tlog.Hash
	Note []byte // signed, as it is handed out
}

const (
	keyFile         = "checkpoint.key"
	publicFile      = "checkpoint.pub"
	hashesFile      = "hashes"
	checkpointsFile = "checkpoints"
)

func fault(op string, err error) error { return &fhir.Error{Op: op, Err: err} }

// Open opens or makes the tree in dir and checks that it does not know more than
// the log holds: an *fhir.Error of Kind Internal says that the log lost entries.
func Open(dir string, log *audit.Log, o Options) (*Log, error) {
	const op = "transparency.Open"
	if o.Every == 0 {
		o.Every = 1000
	}
	if o.Interval == 0 {
		o.Interval = time.Minute
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fault(op, err)
	}
	l := &Log{log: log, dir: dir, opt: o}
	if err := l.openKey(); err != nil {
		return nil, fault(op, err)
	}
	var err error
	if l.hashes, l.size, err = openHashes(filepath.Join(dir, hashesFile)); err != nil {
		return nil, fault(op, err)
	}
	known, err := readCheckpoints(filepath.Join(dir, checkpointsFile), l.key)
	if err == nil && len(known) > 0 {
		l.last = known[len(known)-1]
	}
	if err == nil && (l.size > log.Head().Seq || l.last.Size > log.Head().Seq) {
		err = fmt.Errorf("the audit log ends at entry %d, and entry %d was recorded: run audit verify", log.Head().Seq, max(l.size, l.last.Size))
	}
	if err != nil {
		return nil, errors.Join(fault(op, err), l.hashes.close())
	}
	return l, nil
}

// openKey reads the key of the checkpoints, making it the first time.
func (l *Log) openKey() error {
	path := filepath.Join(l.dir, keyFile)
	secret, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		private, public, failed := note.GenerateKey(l.opt.Random, Origin)
		if failed != nil {
			return failed
		}
		secret = []byte(private)
		err = errors.Join(os.WriteFile(path, secret, 0o600), os.WriteFile(filepath.Join(l.dir, publicFile), []byte(public+"\n"), 0o600))
	}
	if err != nil {
		return err
	}
	public, err := os.ReadFile(filepath.Join(l.dir, publicFile))
	if err != nil {
		return err
	}
	l.key = strings.TrimSpace(string(public))
	l.signer, err = note.NewSigner(string(secret))
	return err
}

// Key is the public key of the checkpoints in the form of a signed-note verifier.
func (l *Log) Key() string { return l.key }

// Sign makes a signed note of lines that tell about something else than the log,
// such as a report. The first line says what; it cannot be a checkpoint's.
func (l *Log) Sign(what string, lines ...string) ([]byte, error) {
	if what == Origin {
		return nil, fhir.E("transparency.Sign", fhir.Internal, "", "only a checkpoint may look like one")
	}
	text := strings.Join(append([]string{what}, lines...), "\n") + "\n"
	signed, err := note.Sign(&note.Note{Text: text}, l.signer)
	if err != nil {
		return nil, fault("transparency.Sign", err)
	}
	return signed, nil
}

// Close signs what is new and closes the files.
func (l *Log) Close() error {
	_, err := l.Checkpoint(context.Background())
	l.mu.Lock()
	defer l.mu.Unlock()
	return errors.Join(err, l.hashes.close())
}

// follow takes over what is durable in the log; the caller holds the lock.
func (l *Log) follow(ctx context.Context) error {
	if l.size >= l.log.Head().Seq {
		return nil
	}
	for entry, err := range l.log.Canonical(l.size + 1) {
		if err != nil {
			return err
		}
		if entry.Seq != l.size+1 {
			return fault("transparency.follow", errors.New("the audit log lacks entries that the tree does not have"))
		}
		if err := l.hashes.add(l.size, tlog.RecordHash(entry.JSON)); err != nil {
			return fault("transparency.follow", err)
		}
		l.size++
		if l.size%4096 == 0 && ctx.Err() != nil {
			return &fhir.Error{Op: "transparency.follow", Kind: fhir.Timeout, Err: ctx.Err()}
		}
	}
	if err := l.hashes.flush(); err != nil {
		return fault("transparency.follow", err)
	}
	return nil
}

// Checkpoint signs the state of the log, unless it is that of the last
// checkpoint, and puts it on disk and beside it before it returns.
func (l *Log) Checkpoint(ctx context.Context) (Checkpoint, error) {
	const op = "transparency.Checkpoint"
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.follow(ctx); err != nil {
		return Checkpoint{}, err
	}
	if l.last.Note != nil && l.last.Size == l.size {
		return l.last, nil
	}
	root, err := tlog.TreeHash(int64(l.size), l.hashes)
	if err != nil {
		return Checkpoint{}, fault(op, err)
	}
	text := fmt.Sprintf("%s\n%d\n%s\n", Origin, l.size, base64.StdEncoding.EncodeToString(root[:]))
	signed, err := note.Sign(&note.Note{Text: text}, l.signer)
	if err != nil {
		return Checkpoint{}, fault(op, err)
	}
	if err := l.hashes.sync(); err != nil {
		return Checkpoint{}, fault(op, err)
	}
	for _, path := range []string{filepath.Join(l.dir, checkpointsFile), l.opt.Copy} {
		if path == "" {
			continue
		}
		if err := appendNote(path, signed); err != nil {
			return Checkpoint{}, &fhir.Error{Op: op, Kind: fhir.Unavailable, Err: err}
		}
	}
	l.last = Checkpoint{l.size, root, signed}
	return l.last, nil
}

// appendNote adds a checkpoint to a file of them, durably.
func appendNote(path string, signed []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(signed, '\n'))
	return errors.Join(err, f.Sync(), f.Close())
}

// Run signs checkpoints in the background until ctx ends: when enough entries
// are new, and when anything is new and it is time. Look at each tick. An error
// is handed to report and the next tick tries again.
func (l *Log) Run(ctx context.Context, ticks <-chan time.Time, report func(error)) {
	var since time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case at := <-ticks:
			l.mu.Lock()
			fresh := l.log.Head().Seq - l.last.Size
			l.mu.Unlock()
			if since.IsZero() {
				since = at
			}
			if fresh == 0 || fresh < l.opt.Every && at.Sub(since) < l.opt.Interval {
				continue
			}
			since = at
			if _, err := l.Checkpoint(ctx); err != nil && ctx.Err() == nil {
				report(err)
			}
		}
	}
}
