-- What this service knows of campaigns: a projection of cfa.campaign.state.v1.
create table campaigns (
    campaign_id  uuid        not null,
    organiser_id uuid        not null,
    status       text        not null,
    ends_at      timestamptz,
    version      bigint      not null,
    constraint campaigns_pkey primary key (campaign_id)
);
