// A scheduler on mesos-go (v1); arguments and output are those of examples/bench_client.rs.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"math"
	"os"
	"strconv"
	"time"

	"github.com/mesos/mesos-go/api/v1/lib"
	"github.com/mesos/mesos-go/api/v1/lib/encoding/codecs"
	"github.com/mesos/mesos-go/api/v1/lib/extras/scheduler/callrules"
	"github.com/mesos/mesos-go/api/v1/lib/extras/scheduler/controller"
	"github.com/mesos/mesos-go/api/v1/lib/extras/scheduler/eventrules"
	"github.com/mesos/mesos-go/api/v1/lib/extras/store"
	"github.com/mesos/mesos-go/api/v1/lib/httpcli"
	"github.com/mesos/mesos-go/api/v1/lib/httpcli/httpsched"
	"github.com/mesos/mesos-go/api/v1/lib/resources"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler/calls"
	"github.com/mesos/mesos-go/api/v1/lib/scheduler/events"
)

func scalar(o *mesos.Offer, name string) (v float64) {
	for i := range o.Resources {
		if o.Resources[i].GetName() == name {
			v += o.Resources[i].GetScalar().GetValue()
		}
	}
	return
}

func report(m map[string]interface{}, code int) {
	b, _ := json.Marshal(m)
	fmt.Println(string(b))
	os.Exit(code)
}

func main() {
	mode, master := os.Args[1], os.Args[2]
	codec := codecs.ByMediaType[codecs.MediaTypeProtobuf]
	if os.Getenv("BENCH_CODEC") == "json" {
		codec = codecs.ByMediaType[codecs.MediaTypeJSON]
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	fid := store.NewInMemorySingleton()
	cli := callrules.New(callrules.WithFrameworkID(store.GetIgnoreErrors(fid))).Caller(
		httpsched.NewCaller(httpcli.New(
			httpcli.Endpoint("http://"+master+"/api/v1/scheduler"),
			httpcli.Codec(codec),
			httpcli.Do(httpcli.With(httpcli.Timeout(20*time.Second))),
		)))
	var h events.Handlers
	if mode == "firehose" {
		h = firehose()
	} else {
		h = tasks(cli)
	}
	up := h[scheduler.Event_UPDATE]
	h[scheduler.Event_UPDATE] = controller.AckStatusUpdates(cli).Handle(up)
	h[scheduler.Event_SUBSCRIBED] = eventrules.New(controller.TrackSubscription(fid, 0))
	no := false
	role := "*"
	err := controller.Run(ctx, &mesos.FrameworkInfo{User: "root", Name: "bench-mesos-go", Checkpoint: &no, Role: &role,
		Capabilities: []mesos.FrameworkInfo_Capability{{Type: mesos.FrameworkInfo_Capability_RESERVATION_REFINEMENT}}}, cli,
		controller.WithEventHandler(eventrules.New(controller.LiftErrors().DropOnError()).Handle(h.Otherwise(func(context.Context, *scheduler.Event) error { return nil }))),
		controller.WithFrameworkID(store.GetIgnoreErrors(fid)),
		controller.WithSubscriptionTerminated(func(err error) { log.Fatal("subscription terminated: ", err) }))
	log.Fatal(err)
}

func firehose() events.Handlers {
	var offers, updates int
	var cpus float64
	ms, _ := strconv.ParseFloat(os.Getenv("BENCH_CALLBACK_MS"), 64)
	callback := time.Duration(ms * float64(time.Millisecond))
	return events.Handlers{
		scheduler.Event_OFFERS: events.HandlerFunc(func(_ context.Context, e *scheduler.Event) error {
			os := e.GetOffers().GetOffers()
			for i := range os {
				offers++
				cpus += scalar(&os[i], "cpus")
			}
			return nil
		}),
		scheduler.Event_UPDATE: events.HandlerFunc(func(_ context.Context, e *scheduler.Event) error {
			updates++
			time.Sleep(callback)
			return nil
		}),
		scheduler.Event_MESSAGE: events.HandlerFunc(func(_ context.Context, e *scheduler.Event) error {
			if string(e.GetMessage().Data) == "bench-done" {
				report(map[string]interface{}{"offers": offers, "updates": updates, "cpus": cpus}, 0)
			}
			return nil
		}),
	}
}

func tasks(cli calls.Caller) events.Handlers {
	n, _ := strconv.Atoi(os.Args[3])
	per, _ := strconv.Atoi(os.Args[4])
	cmd := os.Args[5]
	var launched, final, failed, updates int
	var t0 time.Time
	exec := &mesos.ExecutorInfo{Type: mesos.ExecutorInfo_CUSTOM, ExecutorID: mesos.ExecutorID{Value: "bench"}, Command: &mesos.CommandInfo{Value: &cmd}}
	exec.Resources = []mesos.Resource{resources.NewCPUs(0.1).Resource, resources.NewMemory(64).Resource}
	want := []mesos.Resource{resources.NewCPUs(0.01).Resource, resources.NewMemory(1).Resource}
	return events.Handlers{
		scheduler.Event_OFFERS: events.HandlerFunc(func(ctx context.Context, e *scheduler.Event) error {
			if t0.IsZero() {
				t0 = time.Now()
			}
			os := e.GetOffers().GetOffers()
			for i := range os {
				o := &os[i]
				if launched == n {
					if err := calls.CallNoData(ctx, cli, calls.Decline(o.ID).With(calls.RefuseSeconds(time.Hour))); err != nil {
						log.Fatal(err)
					}
					continue
				}
				fit := int(math.Min(math.Min((scalar(o, "cpus")-0.1)/0.01, scalar(o, "mem")-64), math.Min(float64(per), float64(n-launched))))
				ts := make([]mesos.TaskInfo, 0, per)
				for j := 0; j < fit; j++ {
					ts = append(ts, mesos.TaskInfo{Name: "noop", TaskID: mesos.TaskID{Value: fmt.Sprintf("task-%07d", launched)}, AgentID: o.AgentID, Executor: exec, Resources: want})
					launched++
				}
				accept := calls.Accept(calls.OfferOperations{calls.OpLaunch(ts...)}.WithOffers(o.ID)).With(calls.RefuseSeconds(0))
				if err := calls.CallNoData(ctx, cli, accept); err != nil {
					log.Fatal(err)
				}
			}
			return nil
		}),
		scheduler.Event_UPDATE: events.HandlerFunc(func(_ context.Context, e *scheduler.Event) error { // runs after the acknowledgement
			updates++
			status := e.GetUpdate().GetStatus()
			switch status.GetState() {
			case mesos.TASK_STAGING, mesos.TASK_STARTING, mesos.TASK_RUNNING, mesos.TASK_KILLING:
				return nil
			case mesos.TASK_FINISHED:
			default:
				failed++
			}
			if final++; final == n {
				code := 0
				if failed > 0 {
					code = 1
				}
				report(map[string]interface{}{"tasks": n, "failed": failed, "updates": updates, "wall_s": time.Since(t0).Seconds()}, code)
			}
			return nil
		}),
	}
}
