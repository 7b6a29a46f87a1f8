// Package job runs what takes longer than a request: jobs whose state is in a
// folder, so that they outlive the process.
//
// Promises: a state that was saved is on disk; what was running when the process
// ended, however it ended, runs again after the next start, from the state that it
// saved last; a cancelled job stops and stays so; every goroutine has ended when
// Close returns. A Runner must be able to do its last step twice.
//
// It knows nothing of FHIR or HTTP and decides no access.
package job

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"galen/fhir"
)

// Status is where a job is.
type Status string

// The statuses.
const (
	Running   Status = "running"
	Completed Status = "completed" // with or without Errors of single items
	Failed    Status = "failed"
	Cancelled Status = "cancelled"
)

// MaxErrors is how many errors of single items a state keeps.
const MaxErrors = 100

// State is all that is kept of a job.
type State struct {
	ID      string
	Kind    string
	Owner   string // who started it: what the caller knows him by
	Status  Status
	Created time.Time
	Ended   time.Time // zero while it runs

	Input  json.RawMessage `json:",omitempty"`
	Cursor json.RawMessage `json:",omitempty"` // of the Runner, to go on from
	Output json.RawMessage `json:",omitempty"` // of the Runner, for the answer

	Total, Done, Failed int      // items
	Errors              []string // of the first items that failed, and why the job did; no values of a record
}

// Runner does the work of a kind of job. It saves its progress in the Run, and
// returns soon after ctx ends.
type Runner func(ctx context.Context, r *Run) error

// Sealer encrypts what lies in files.
type Sealer interface {
	Seal(text []byte) ([]byte, error)
	Open(sealed []byte) (text []byte, ok bool)
}

// Options are what a Room needs; all but Seal are required.
type Options struct {
	Dir   string // made if absent; a file and a folder for each job
	Now   func() time.Time
	NewID func() string
	Kinds map[string]Runner
	Seal  Sealer // of the states; nil leaves them as they are
}

// Room is the jobs of a server. It is safe for concurrent use.
type Room struct {
	opts   Options
	ctx    context.Context
	stop   context.CancelFunc
	busy   sync.WaitGroup
	mu     sync.Mutex
	states map[string]*State
	cancel map[string]context.CancelFunc // of what runs
	done   map[string]chan struct{}      // closed when its goroutine ends
	closed bool
}

// Open reads the jobs in the folder and goes on with those that ran. The error is
// of Kind Unavailable.
func Open(o Options) (*Room, error) {
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, failure(err)
	}
	files, err := filepath.Glob(filepath.Join(o.Dir, "*.json"))
	if err != nil {
		return nil, failure(err)
	}
	r := &Room{opts: o, states: map[string]*State{}, cancel: map[string]context.CancelFunc{}, done: map[string]chan struct{}{}}
	r.ctx, r.stop = context.WithCancel(context.Background()) // Close ends it
	for _, name := range files {
		var s State
		text, err := r.read(name)
		if err == nil {
			err = json.Unmarshal(text, &s)
		}
		if err != nil {
			r.stop()
			return nil, failure(err)
		}
		r.states[s.ID] = &s
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.states {
		if s.Status == Running {
			r.run(s)
		}
	}
	return r, nil
}

// read returns a state's text.
func (r *Room) read(name string) ([]byte, error) {
	text, err := os.ReadFile(name)
	if err != nil || r.opts.Seal == nil {
		return text, err
	}
	text, ok := r.opts.Seal.Open(text)
	if !ok {
		return nil, errors.New("a job cannot be decrypted with this key")
	}
	return text, nil
}

func failure(err error) error {
	return &fhir.Error{Op: "job", Kind: fhir.Unavailable, Err: err}
}

// Close stops what runs, which goes on after the next Open.
func (r *Room) Close() error {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.stop()
	r.busy.Wait()
	return nil
}

// Start begins a job of a kind that Options name. A kind of which one runs with
// the same input is not started twice: its state is returned.
func (r *Room) Start(kind, owner string, input any) (State, error) {
	text, err := json.Marshal(input)
	if err != nil {
		return State{}, failure(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return State{}, fhir.E("job.Start", fhir.Unavailable, "", "the server is stopping")
	}
	for _, s := range r.states {
		if s.Kind == kind && s.Status == Running && s.Owner == owner && string(s.Input) == string(text) {
			return s.copy(), nil
		}
	}
	s := &State{ID: r.opts.NewID(), Kind: kind, Owner: owner, Status: Running, Created: r.opts.Now().UTC(), Input: text}
	if err := r.save(s); err != nil {
		return State{}, err
	}
	r.states[s.ID] = s
	r.run(s)
	return s.copy(), nil
}

// run starts the goroutine of a job; the caller holds the lock.
func (r *Room) run(s *State) {
	ctx, cancel := context.WithCancel(r.ctx)
	done := make(chan struct{})
	r.cancel[s.ID], r.done[s.ID] = cancel, done
	r.busy.Add(1)
	go func() {
		defer r.busy.Done()
		defer close(done)
		defer cancel()
		var err error
		if work, ok := r.opts.Kinds[s.Kind]; ok {
			err = work(ctx, &Run{room: r, state: s})
		} else {
			err = fhir.E("job", fhir.NotSupported, "", "there are no jobs of this kind any more")
		}
		r.end(s, err)
	}()
}

// end keeps what became of a job, unless the server is stopping.
func (r *Room) end(s *State, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.cancel, s.ID)
	if s.Status != Running || err != nil && r.ctx.Err() != nil {
		return
	}
	s.Status, s.Ended = Completed, r.opts.Now().UTC()
	if err != nil {
		s.Status = Failed
		s.note(err.Error())
	}
	_ = r.save(s) // after a restart it ends once more
}

// Find returns a job's state; false if there is none.
func (r *Room) Find(id string) (State, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, ok := r.states[id]
	if !ok {
		return State{}, false
	}
	return s.copy(), true
}

// Wait returns when a job does not run any more, with an error if ctx ends first.
func (r *Room) Wait(ctx context.Context, id string) error {
	r.mu.Lock()
	done, ok := r.done[id]
	r.mu.Unlock()
	if !ok {
		return nil
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return &fhir.Error{Op: "job.Wait", Kind: fhir.Timeout, Err: ctx.Err()}
	}
}

// List returns the states of a kind, the newest first.
func (r *Room) List(kind string) (list []State) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.states {
		if s.Kind == kind {
			list = append(list, s.copy())
		}
	}
	slices.SortFunc(list, func(a, b State) int {
		if c := b.Created.Compare(a.Created); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return list
}

// Cancel stops a job, and removes the files of one that has ended. False says
// that there is none.
func (r *Room) Cancel(id string) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s, ok := r.states[id]
	if !ok {
		return false, nil
	}
	if s.Status == Running {
		s.Status, s.Ended = Cancelled, r.opts.Now().UTC()
		r.cancel[id]()
		return true, r.save(s)
	}
	delete(r.states, id)
	delete(r.done, id)
	if err := errors.Join(os.Remove(r.file(id)), os.RemoveAll(r.Folder(id))); err != nil {
		return true, failure(err)
	}
	return true, nil
}

// Folder is where a job's Runner may put files.
func (r *Room) Folder(id string) string { return filepath.Join(r.opts.Dir, id) }

func (r *Room) file(id string) string { return filepath.Join(r.opts.Dir, id+".json") }

// save writes a state durably and whole; the caller holds the lock.
func (r *Room) save(s *State) error {
	text, err := json.Marshal(s)
	if err == nil && r.opts.Seal != nil {
		text, err = r.opts.Seal.Seal(text)
	}
	if err != nil {
		return failure(err)
	}
	f, err := os.CreateTemp(r.opts.Dir, ".state")
	if err != nil {
		return failure(err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), r.file(s.ID))
	}
	if err != nil {
		return failure(err)
	}
	return nil
}

func (s *State) copy() State {
	c := *s
	c.Errors = slices.Clone(s.Errors)
	return c
}

func (s *State) note(message string) {
	if len(s.Errors) < MaxErrors {
		s.Errors = append(s.Errors, message)
	}
}

// Run is a job under way, for its Runner.
type Run struct {
	room  *Room
	state *State
}

// State is what is kept now.
func (r *Run) State() State {
	r.room.mu.Lock()
	defer r.room.mu.Unlock()
	return r.state.copy()
}

// Folder is where the Runner may put files.
func (r *Run) Folder() string { return r.room.Folder(r.state.ID) }

// Save changes the state and makes it durable. A cancelled job is not changed.
func (r *Run) Save(change func(*State)) error {
	r.room.mu.Lock()
	defer r.room.mu.Unlock()
	if r.state.Status != Running {
		return fhir.E("job.Save", fhir.Conflict, "", "the job was cancelled")
	}
	change(r.state)
	return r.room.save(r.state)
}

// Note adds the error of a single item to the state that the next Save keeps.
func (r *Run) Note(message string) {
	r.room.mu.Lock()
	defer r.room.mu.Unlock()
	r.state.Failed++
	r.state.note(message)
}
