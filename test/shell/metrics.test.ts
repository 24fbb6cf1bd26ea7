import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { describe, it } from 'node:test'
import { serviceSpec } from '../../schemas/service.ts'
import { STATES } from '../../schemas/states.ts'
import { emptyMesh, step } from '../../supervisor/core/step.ts'
import { Stage } from '../core/stage.ts'
import { findDebian } from '../debian.ts'
import { makeProbe, makeSpec } from '../sim/mesh.ts'
import { metricsOf } from './metrics-view.ts'

/** A mesh of two services, one of them with a probe, just declared. */
function declaredMesh() {
  const mesh = emptyMesh(1, [1, 2, 3, 4])
  const specs = ['alpha', 'beta'].map((name) => ({
    hash: name,
    spec: serviceSpec.parse({
      name,
      preset: 'process',
      kind: 'daemon',
      command: ['sleep', '1'],
      runbook: 'process.md',
      probes: name === 'beta' ? [{ kind: 'tcp', port: 4242, role: 'readiness' }] : [],
    }),
  }))
  step(mesh, { kind: 'declared', specs, groups: [], retry: false, preflight: {}, at: 0, wall: 1_000 })
  return mesh
}

async function sampled() {
  const metrics = metricsOf(declaredMesh())
  for (const service of ['alpha', 'beta']) metrics.declare(service)
  metrics.started('alpha', 'crash')
  metrics.exited('alpha', 'signal', 137)
  metrics.probed({ service: 'beta', probe: 'tcp-readiness', result: 'timeout', seconds: 0.2 })
  metrics.turned(3)
  metrics.rotated('alpha', 1.5)
  metrics.rotated('alpha', null)
  metrics.rotationFailed('beta')
  return { metrics, text: await metrics.text() }
}

describe('the metrics', () => {
  it('show one series for each of the thirteen states, and exactly one of them is 1', async () => {
    const { text } = await sampled()
    const states = [...text.matchAll(/^paios_service_state\{service="alpha",state="(\w+)"\} ([01])$/gm)]
    assert.deepEqual(states.map(([, state]) => state).sort(), [...STATES].sort())
    assert.equal(states.filter(([, , value]) => value === '1').length, 1)
  })

  it('begin every known series at 0 and count what happens', async () => {
    const { text } = await sampled()
    assert.match(text, /^paios_service_starts_total\{service="alpha",reason="crash"\} 1$/m)
    assert.match(text, /^paios_service_starts_total\{service="alpha",reason="hung"\} 0$/m)
    assert.match(text, /^paios_service_exits_total\{service="alpha",cause="signal"\} 1$/m)
    assert.match(text, /^paios_service_last_exit_code\{service="alpha"\} 137$/m)
    assert.match(text, /^paios_service_last_exit_code\{service="beta"\} -1$/m)
    assert.match(text, /^paios_probe_runs_total\{service="beta",probe="tcp-readiness",result="timeout"\} 1$/m)
  })

  it('tell how logs are kept: rotations, failures, pauses, and what is on the disk', async () => {
    const { text } = await sampled()
    assert.match(text, /^paios_log_rotations_total\{service="alpha",result="rotated"\} 2$/m)
    assert.match(text, /^paios_log_rotations_total\{service="alpha",result="failed"\} 0$/m)
    assert.match(text, /^paios_log_rotations_total\{service="beta",result="failed"\} 1$/m)
    assert.match(text, /^paios_log_rotation_pause_seconds_bucket\{le="0.001"\} 0$/m)
    assert.match(text, /^paios_log_rotation_pause_seconds_bucket\{le="0.0025"\} 1$/m)
    assert.match(text, /^paios_log_bytes\{service="alpha"\} 70000$/m)
    assert.doesNotMatch(text, /^paios_log_bytes\{service="beta"/m)
  })

  it('compare what a service holds with the least that its memory probes allow', async () => {
    const limit = (max: number, name: string) =>
      makeProbe('readiness', { kind: 'memory', max, name } as object)
    const both = makeSpec('both', { probes: [limit(8192, 'low'), limit(16_384, 'high')] })
    const stage = new Stage([both, makeSpec('none')]).up('both').up('none')
    const text = await metricsOf(stage.mesh).text()
    assert.match(text, /^paios_service_memory_limit_bytes\{service="both"\} 8192$/m)
    assert.match(text, /^paios_service_memory_used_ratio\{service="both"\} 0.5$/m)
    assert.doesNotMatch(text, /^paios_service_memory_(limit|used)\w+\{service="none"/m)
  })

  it('carry no label that Prometheus itself uses, no pid and no path', async () => {
    const { text } = await sampled()
    assert.doesNotMatch(text, /\b(job|instance|pid|path|url)="/)
  })

  it('forget a service that left the mesh', async () => {
    const { metrics } = await sampled()
    metrics.forget('alpha')
    assert.doesNotMatch(await metrics.text(), /starts_total\{service="alpha"/)
  })

  const promtool = findDebian('prometheus', 'promtool')
  it('pass promtool check metrics', {
    skip: promtool === null && process.env['CI'] === undefined,
  }, async () => {
    assert.ok(promtool, 'CI must have promtool')
    const { text } = await sampled()
    const { status, stdout, stderr } = spawnSync(promtool, ['check', 'metrics'], {
      input: text,
      encoding: 'utf8',
    })
    assert.equal(status, 0, `${stdout}${stderr}`)
  })
})
