// A moving skeleton on a canvas, in 2-D or 3-D.
//
// clip: {shape: [M, T, V, D], values, centre, reach, stream, up}, values[((m T + t) V + v) D + d]; NaN: not there.
// look: {bones, person(m): colour of a person, joint(m, v, share): colour of a joint or null, bone: colour of all bones,
//        smooth: whether to draw between frames, floor: colour of a floor}
class Skeleton {
  constructor(canvas, clip, look) {
    Object.assign(this, {canvas, clip, look});
  }

  frame(share) {
    const T = this.clip.shape[1];
    return Math.min(T - 1, Math.floor(share * T));
  }

  // (x, y, z) of a joint relative to the middle of the clip; drawn from the origin without one.
  at(m, v, share) {
    const [, T, V, D] = this.clip.shape, {values, centre} = this.clip;
    const t = this.frame(share), start = ((m * T + t) * V + v) * D, weight = share * T - t;
    const between = this.look.smooth && t + 1 < T;
    const point = [0, 0, 0];
    for (let d = 0; d < D; d++) {
      const here = values[start + d], next = between ? values[start + V * D + d] : NaN;
      point[d] = (isNaN(next) ? here : here + weight * (next - here)) - centre[d];
    }
    return point;
  }

  // Place on the canvas, in 3-D seen by an observer who faces the person, turns by yaw and looks down by pitch.
  project([x, y, z], {yaw, pitch}) {
    const flat = this.clip.shape[3] === 2, {width, height} = this.canvas;
    const scale = 0.95 * width / 2 / this.clip.reach;
    const across = flat ? x : -x * Math.cos(yaw) + z * Math.sin(yaw);
    const depth = flat ? 0 : x * Math.sin(yaw) + z * Math.cos(yaw);
    const up = this.clip.up * y;
    const raised = flat ? up : up * Math.cos(pitch) + depth * Math.sin(pitch);
    return [width / 2 + scale * across, height / 2 - scale * raised];
  }

  isThere(m, share) {
    const [, T, V, D] = this.clip.shape, start = (m * T + this.frame(share)) * V * D;
    return this.clip.values.subarray(start, start + V * D).some(v => Math.abs(v) > 0);
  }

  draw(share, view) {
    const [M, , V] = this.clip.shape, {canvas, look} = this, context = canvas.getContext('2d');
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.lineCap = 'round';
    if (look.floor) this.drawFloor(context, view);
    for (let m = 0; m < M; m++) {
      if (!this.isThere(m, share)) continue;
      const joints = [...Array(V).keys()].map(v => this.project(this.at(m, v, share), view));
      const origin = this.project([0, 0, 0], view);
      const missing = ([x, y]) => isNaN(x) || isNaN(y);
      const lines = this.clip.stream === 'joint' ? look.bones.map(([a, b]) => [joints[a], joints[b]]) : joints.map(j => [origin, j]);
      context.lineWidth = look.width || 3;
      context.strokeStyle = look.bone || look.person(m);
      context.beginPath();
      for (const [a, b] of lines) { if (missing(a) || missing(b)) continue; context.moveTo(...a); context.lineTo(...b); }
      context.stroke();
      joints.forEach(([x, y], v) => {
        if (missing([x, y])) return;
        context.fillStyle = (look.joint && look.joint(m, v, share)) || look.person(m);
        context.beginPath();
        context.arc(x, y, look.radius || 4, 0, 7);
        context.fill();
      });
    }
  }

  // A square below the lowest joint of the clip.
  drawFloor(context, view) {
    const {clip} = this, D = clip.shape[3];
    if (D === 2) return;
    if (this.lowest === undefined) {
      this.lowest = Infinity;
      for (let i = 1; i < clip.values.length; i += D) this.lowest = Math.min(this.lowest, isNaN(clip.values[i]) ? Infinity : clip.up * clip.values[i]);
    }
    const half = 0.7 * clip.reach, y = clip.up * this.lowest - clip.centre[1];
    context.strokeStyle = this.look.floor;
    context.lineWidth = 1;
    context.beginPath();
    for (let i = -2; i <= 2; i++) {
      for (const [a, b] of [[[i, -2], [i, 2]], [[-2, i], [2, i]]]) {
        context.moveTo(...this.project([a[0] * half / 2, y, a[1] * half / 2], view));
        context.lineTo(...this.project([b[0] * half / 2, y, b[1] * half / 2], view));
      }
    }
    context.stroke();
  }
}

function bytesOf(text) {
  const binary = atob(text), bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}
