/** `paios probe`. */
import type { ProbeReport } from '../../schemas/status.ts'
import { call } from './client.ts'
import type { Command, Invocation } from './command.ts'
import { paint, plain } from './render.ts'

/** Runs the probes of a service now and shows each step with its time. */
export const command: Command = {
  usage: 'probe NAME',
  about:
    'Runs every probe of a service once, now, and shows what each found and how long each of its steps took.\n' +
    'Nothing of it counts for the service: it is neither restarted nor called ready because of it. Exits 1 if a\n' +
    'probe fails or cannot tell.',
  flags: {},
  operands: { min: 1, max: 1 },
  examples: [
    ['paios probe gateway', 'is it really well, and what answers slowly?'],
    ['paios probe kb --json', 'the same for a script'],
  ],
  run,
}

async function run(invocation: Invocation): Promise<number> {
  const [name = ''] = invocation.operands
  const { probes } = await call<{ probes: ProbeReport[] }>(invocation.home, 'POST', '/probe', { name })
  if (invocation.json) invocation.out(`${JSON.stringify({ service: name, probes })}\n`)
  else if (probes.length === 0) invocation.out(`${name} has no probes: it is watched by its exit alone\n`)
  else for (const probe of probes) invocation.out(renderReport(probe, invocation))
  return probes.every((probe) => probe.result === 'pass') ? 0 : 1
}

/** One probe as a line, and its steps below it. */
export function renderReport(probe: ProbeReport, layout: Pick<Invocation, 'color'>): string {
  const tone = probe.result === 'pass' ? 'green' : probe.result === 'fail' ? 'red' : 'yellow'
  const result = paint(probe.result.padEnd(7), tone, layout)
  const said = probe.text === null ? '' : `  ${plain(probe.text)}`
  const lines = [`${result} ${milliseconds(probe.ms)}  ${probe.role.padEnd(9)} ${probe.name}${said}`]
  for (const { name, ms, detail } of probe.steps) {
    lines.push(`        ${milliseconds(ms)}    ${name}${detail === null ? '' : `  ${plain(detail)}`}`)
  }
  return `${lines.join('\n')}\n`
}

const milliseconds = (ms: number) => `${ms.toFixed(ms < 10 ? 1 : 0).padStart(6)} ms`
