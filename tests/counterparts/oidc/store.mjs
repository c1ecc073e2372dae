// Where oidc-provider keeps what it issued: in memory, bounded, and open to the control calls. Nothing leaves it by its age
// alone, so that a token that has run out is told apart from one that never was.
const CAP = 50_000; // entries; a test makes some thousands

export class Store {
  #entries = new Map();

  /** The adapter that oidc-provider asks for each kind of thing. */
  adapter = (model) => {
    const key = (id) => `${model}:${id}`;
    const entries = this.#entries;
    const by = (field, value) => {
      for (const [name, payload] of entries) if (name.startsWith(`${model}:`) && payload[field] === value) return payload;
      return undefined;
    };
    return {
      async upsert(id, payload) {
        entries.delete(key(id));
        entries.set(key(id), payload);
        if (entries.size > CAP) entries.delete(entries.keys().next().value);
      },
      find: async (id) => entries.get(key(id)),
      findByUid: async (uid) => by("uid", uid),
      findByUserCode: async (userCode) => by("userCode", userCode),
      async consume(id) {
        const payload = entries.get(key(id));
        if (payload) payload.consumed = Math.floor(Date.now() / 1000);
      },
      destroy: async (id) => void entries.delete(key(id)),
      async revokeByGrantId(grantId) {
        for (const [name, payload] of entries) if (payload.grantId === grantId) entries.delete(name);
      },
    };
  };

  /** All of these kinds run out now; gives how many did. */
  expire(models) {
    const now = Math.floor(Date.now() / 1000);
    let expired = 0;
    for (const [name, payload] of this.#entries) {
      if (!models.includes(name.split(":")[0]) || payload.exp <= now) continue;
      payload.exp = now - 1;
      expired += 1;
    }
    return expired;
  }

  /** All of these kinds are gone, as a vendor's "revoke all access" does it; gives how many went. */
  forget(models) {
    let gone = 0;
    for (const name of this.#entries.keys()) if (models.includes(name.split(":")[0]) && this.#entries.delete(name)) gone += 1;
    return gone;
  }
}
